//! Files that tests make up.

use std::collections::BTreeMap;

use crate::operate::krb5_conf::profile::{FileLine, FileSystem};

/// Files, by path; a directory's names are those of the files in it.
#[derive(Debug, Default)]
pub(crate) struct Disk(pub(crate) BTreeMap<String, String>);

impl Disk {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self(files.iter().map(own).collect())
    }
}

impl FileSystem for Disk {
    fn text(&mut self, path: &str) -> Result<String, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "is not there".to_owned())
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, String> {
        let directory = directory.trim_end_matches('/');
        let inside = |path: &String| {
            let name = path.strip_prefix(directory)?.strip_prefix('/')?;
            name.split('/').next().map(str::to_owned)
        };
        // Backwards, as a directory may have them.
        let mut names: Vec<_> = self.0.keys().rev().filter_map(inside).collect();
        names.dedup();
        if names.is_empty() {
            Err("is not there".to_owned())
        } else {
            Ok(names)
        }
    }
}

/// What is said of a line, with its file if that is not the usual one.
pub(crate) fn told(place: &FileLine, what: &str) -> String {
    let FileLine { file, line } = place;
    match &**file {
        "/etc/krb5.conf" => format!("line {line}: {what}"),
        file => format!("{file}, line {line}: {what}"),
    }
}

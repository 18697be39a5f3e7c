//! Which file is read.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::Sources;
use super::error::Broken;
use super::read::{self, Unreadable};
use crate::failure::{Exit, Failure};

const SYSTEM: &str = "/etc/loopkdc/config.toml";
const SMALLEST: &str = r#"
    [realms."EXAMPLE.COM"]
    proxies = ["https://kdcproxy.example.com/KdcProxy"]"#;

/// The file and its text. `None`: the command line says enough without one.
pub(super) fn read(sources: &Sources) -> Result<Option<(PathBuf, String)>, Failure> {
    match &sources.file {
        Some(path) => open(path)
            .and_then(|text| text.ok_or_else(|| missing(&[path])))
            .map(|text| Some((path.clone(), text))),
        // What was typed out in full should not change with a file that happens to lie about.
        None if !sources.realms.is_empty() => Ok(None),
        None => first(&places()).map(Some),
    }
}

/// The user's file comes before the system's.
fn places() -> Vec<PathBuf> {
    let user =
        ProjectDirs::from("", "", "loopkdc").map(|dirs| dirs.config_dir().join("config.toml"));
    user.into_iter().chain([PathBuf::from(SYSTEM)]).collect()
}

/// The first that exists. One that exists and can't be read is an error: the next would be a surprise.
fn first(places: &[PathBuf]) -> Result<(PathBuf, String), Failure> {
    for path in places {
        if let Some(text) = open(path)? {
            return Ok((path.clone(), text));
        }
    }
    Err(missing(places))
}

fn open(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = match read::bytes(path) {
        Ok(bytes) => bytes,
        Err(Unreadable::Missing) => return Ok(None),
        Err(error) => return Err(error.broken("configuration", path).into_failure(None)),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Broken::new(format!("not UTF-8 at byte {at}")).into_failure(Some((path, "")))
    });
    text.map(Some)
}

fn missing<P: AsRef<Path>>(places: &[P]) -> Failure {
    let names: Vec<_> = places
        .iter()
        .map(|path| path.as_ref().display().to_string())
        .collect();
    let none = match names.as_slice() {
        [name] => format!("{name} does not exist"),
        names => format!("neither {} exists", names.join(" nor ")),
    };
    let make = names.last().map_or(SYSTEM, String::as_str);
    let what = "the configuration says which KDC proxy serves which realm";
    Failure::new(Exit::Config, format!("{what}, and {none}"))
        .hint("to go without a file: loopkdc run --realm EXAMPLE.COM=https://kdcproxy.example.com/KdcProxy")
        .hint(format!("to make one, write into {make} (config.example.toml shows every key):{SMALLEST}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_place_that_has_a_file_wins() {
        let dir = tempfile::tempdir().unwrap();
        let places: Vec<_> = ["a", "b", "c"].map(|name| dir.path().join(name)).to_vec();
        fs::write(&places[1], "b").unwrap();
        fs::write(&places[2], "c").unwrap();
        assert_eq!(first(&places).unwrap(), (places[1].clone(), "b".to_owned()));
    }

    #[test]
    fn the_systems_place_is_the_last() {
        assert_eq!(places().last(), Some(&PathBuf::from(SYSTEM)));
    }

    #[test]
    fn no_file_says_what_it_is_for_and_how_to_make_one() {
        let failure =
            first(&["/nowhere/user.toml".into(), "/nowhere/etc.toml".into()]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert_eq!(
            failure.to_string(),
            r#"loopkdc: error: the configuration says which KDC proxy serves which realm, and neither /nowhere/user.toml nor /nowhere/etc.toml exists
loopkdc: hint: to go without a file: loopkdc run --realm EXAMPLE.COM=https://kdcproxy.example.com/KdcProxy
loopkdc: hint: to make one, write into /nowhere/etc.toml (config.example.toml shows every key):
    [realms."EXAMPLE.COM"]
    proxies = ["https://kdcproxy.example.com/KdcProxy"]"#
        );
    }

    #[test]
    fn a_file_in_another_encoding_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, b"# caf\xe9\n").unwrap();
        let failure = open(&file).unwrap_err();
        assert_eq!(
            failure.message(),
            format!("{}: not UTF-8 at byte 5", file.display())
        );
    }
}

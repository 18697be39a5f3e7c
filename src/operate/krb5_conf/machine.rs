//! The files of this machine.

use std::fs;
use std::path::Path;

use super::profile::FileSystem;
use crate::config::read;

/// The largest file that is read, in octets.
pub(crate) const MAX_FILE: u64 = 1024 * 1024;

/// The most names that are read of a directory. Those of libraries hold a few thousand.
const MAX_NAMES: usize = 32 * 1024;

/// The files and the environment of this process.
pub(crate) struct Machine;

/// What is asked of a machine besides.
pub(crate) trait Host: FileSystem {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
}

impl Host for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl FileSystem for Machine {
    fn text(&mut self, path: &str) -> Result<String, String> {
        let path = Path::new(path);
        let octets = read::regular(path, MAX_FILE).map_err(|error| {
            read::unreadable(path, error)
                .describe("the file", path)
                .into_failure(None)
                .message()
                .to_owned()
        })?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let names: Vec<_> = names.take(MAX_NAMES + 1).collect();
        match names.len() <= MAX_NAMES {
            true => Ok(names
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .collect()),
            false => Err(format!("holds more than {MAX_NAMES} names")),
        }
    }
}

//! A clock that a test sets.

use std::fs;
use std::path::{Path, PathBuf};

/// The clock of processes that are started with its environment, by libfaketime.
pub(crate) struct Clock(PathBuf);

impl Clock {
    /// A right one, with `file` for it.
    pub(crate) fn new(file: &Path) -> Self {
        let clock = Self(file.with_extension("clock"));
        clock.set("+0");
        clock
    }

    /// Sets it to `@2042-05-06 07:08:09`, or so far from the right time: `+1h`.
    pub(crate) fn set(&self, to: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{to}\n")).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    /// What a process needs to go by it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        let folders = fs::read_dir("/usr/lib").unwrap().flatten();
        let library = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
        let library = library.into_iter().find(|library| library.exists());
        let library = library.expect("package faketime; tests/run installs it");
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
        ]
    }
}

//! Reads a file, and says what stands in the way when that fails.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::{env, fmt};

use rustix::fs::OFlags;

use super::document::ConfigSection;
use super::error::{ConfigError, ConfigPlace, Located};
use super::keys::{ConfigKey, Mark};
use crate::relay::failure::Exit;
use crate::relay::text::{self, shell};

/// The whole file, unless it has more than `most` octets.
pub(crate) fn at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    capped(File::open(path)?, most)
}

fn capped(file: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let length = file.take(most + 1).read_to_end(&mut octets)?;
    if length as u64 > most {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(octets)
}

/// The whole of a regular file, unless it has more than `most` octets: what others can name must not be a pipe that nobody
/// writes to.
///
/// # Errors
/// It can't be opened or read, is another kind of file, or is too long.
pub(crate) fn regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    regular_by(path, most, OFlags::NONBLOCK)
}

/// The same, unless it is a link.
pub(crate) fn regular_itself(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    regular_by(path, most, OFlags::NONBLOCK | OFlags::NOFOLLOW)
}

fn regular_by(path: &Path, most: u64, flags: OFlags) -> io::Result<Vec<u8>> {
    let flags = flags.bits().cast_signed();
    let mut options = File::options();
    let file = options.read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    capped(file, most)
}

/// Nothing has the name that was to be read, or the way to it goes through a file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The first part of the path that this user can't get past: a name is looked up in the directory
/// before it, so a lookup that is denied is denied by that directory.
fn blocker(path: &Path) -> PathBuf {
    let denied = |part: &Path| {
        fs::metadata(part).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    let first = path.ancestors().filter(|part| denied(part)).last();
    match first.and_then(Path::parent) {
        Some(directory) if directory.as_os_str().is_empty() => PathBuf::from("."),
        Some(directory) => directory.to_owned(),
        None => path.to_owned(),
    }
}

/// Why the file at `path` was not read. `what`: the key or option that names it.
pub(crate) fn describe(error: &io::Error, what: &str, path: &Path) -> ConfigError {
    // Whoever named the file may be somebody else.
    let name = path.to_string_lossy();
    let name = text::line(&name);
    if is_missing(error) {
        return ConfigError::new(format!("{what} {name} does not exist"));
    }
    if error.kind() != ErrorKind::PermissionDenied {
        return ConfigError::new(format!("{what} {name} can't be read: {error}"));
    }
    let blocker = blocker(path);
    let rule = "may not be read by this user";
    let show = if blocker == path { "ls -l" } else { "ls -ld" };
    let blocker = blocker.to_string_lossy();
    let blocker = text::line(&blocker);
    ConfigError::new(format!("{what} {name} {rule}: {blocker} blocks"))
        .hint(format!(
            "see who may pass: {show} {}",
            shell::word(&blocker)
        ))
        .exit(Exit::Permission)
}

/// What stands before the name of a credential of systemd's (`LoadCredential=` in systemd.exec(5)).
const CREDENTIAL: &str = "credential:";
/// Where those are.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where the file is that the configuration names: relative to `base`, or handed over by the service manager.
pub(super) fn path(base: &Path, written: &Located<String>) -> Result<PathBuf, ConfigError> {
    let Some(name) = written.value.strip_prefix(CREDENTIAL) else {
        return Ok(base.join(&written.value));
    };
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        let rule = "a credential's name has no slash and no dot before it";
        let hint = "write it like \"credential:NAME\", and LoadCredential=NAME:FILE in the unit";
        return Err(written.error(rule).hint(hint));
    }
    let Some(directory) = env::var_os(CREDENTIALS_DIRECTORY) else {
        let rule = "is of use only where a service manager sets";
        return Err(written
            .error(format!("{} {rule} ${CREDENTIALS_DIRECTORY}", written.value))
            .hint(format!(
                "in a shell: systemd-run --pipe -p LoadCredential={name}:FILE loopkdc check"
            )));
    };
    Ok(Path::new(&directory).join(name))
}

/// The longest file that the configuration names: a system's certificates are a quarter of it.
const MAX_NAMED_FILE: u64 = 1 << 20;

/// A file that the configuration names, and what it holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NamedFile {
    /// The key that names it.
    key: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) octets: Vec<u8>,
    place: ConfigPlace,
}

/// As errors speak of it: `ca-file /etc/ca.pem`.
impl fmt::Display for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.path.display())
    }
}

/// Not what it holds.
impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl NamedFile {
    /// The file at `path`, which `key` names at `place`.
    pub(super) fn read(
        key: &'static ConfigKey,
        path: PathBuf,
        place: ConfigPlace,
    ) -> Result<Self, ConfigError> {
        let octets = regular(&path, MAX_NAMED_FILE).map_err(|error| {
            let name = key.name;
            if !key.is(Mark::Masked) || error.kind() == ErrorKind::PermissionDenied {
                return describe(&error, name, &path);
            }
            // The secret itself may have been written where the name belongs: no error repeats it.
            ConfigError::new(format!("{name} names a file that can't be read: {error}")).hint(
                format!("write the text to a file, and the file's name to {name}"),
            )
        });
        Ok(Self {
            octets: octets.map_err(|error| error.at(&place))?,
            key: key.name,
            path,
            place,
        })
    }

    /// The file that `table` names by `key`, if it does.
    pub(super) fn of(
        table: &ConfigSection,
        key: &'static ConfigKey,
        base: &Path,
    ) -> Result<Option<Self>, ConfigError> {
        let written = table.written(key);
        let read = |written: Located<String>| Self::read(key, path(base, &written)?, written.place);
        written.map(read).transpose()
    }

    /// What it holds, which must be text.
    pub(super) fn text(&self) -> Result<&str, ConfigError> {
        str::from_utf8(&self.octets).map_err(|_| self.error(format!("{self} is not text")))
    }

    /// A rule that it breaks.
    pub(super) fn error(&self, rule: impl Into<String>) -> ConfigError {
        ConfigError::new(rule).at(&self.place)
    }

    /// Its name as a word of a command.
    pub(super) fn word(&self) -> String {
        shell::path(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_by_that_name_is_missing_and_anything_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        for (path, missing) in [
            (dir.path().join("none"), true),
            // The way goes through a file: nothing can be there either.
            (file.join("none"), true),
            (dir.path().to_owned(), false),
        ] {
            let error = at_most(&path, 4).unwrap_err();
            assert_eq!(is_missing(&error), missing, "{error}");
        }
        assert_eq!(at_most(&file, 4).unwrap(), b"text");
        for path in [&*file, Path::new("/dev/zero")] {
            let error = at_most(path, 3).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        }
    }
}

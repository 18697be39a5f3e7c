//! Files that the configuration names: relative to it, or handed over by the service manager.

use std::env;
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::config::error::ConfigError;
use crate::config::read::{self, Unreadable};

/// What stands before the name of a credential of systemd's (`LoadCredential=` in systemd.exec(5)).
const CREDENTIAL: &str = "credential:";
/// Where those are.
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// What files are relative to.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) base: &'a Path,
}

impl Files<'_> {
    /// Where the file is.
    pub(super) fn path(self, written: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let text = written.get_ref();
        let Some(name) = text.strip_prefix(CREDENTIAL) else {
            return Ok(self.base.join(text));
        };
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(ConfigError::new("a credential's name has no slash and no dot before it")
                .hint("write it like \"credential:NAME\", and LoadCredential=NAME:FILE in the unit")
                .at(written.span()));
        }
        let directory = env::var_os(DIRECTORY).ok_or_else(|| {
            ConfigError::new(format!(
                "{text} is of use only where a service manager sets ${DIRECTORY}"
            ))
            .hint(format!(
                "in a shell: systemd-run --pipe -p LoadCredential={name}:FILE loopkdc check"
            ))
            .at(written.span())
        })?;
        Ok(Path::new(&directory).join(name))
    }

    /// The whole file, and where it is. `key`: what names it.
    pub(super) fn read(
        self,
        key: &str,
        written: &Spanned<String>,
    ) -> Result<(PathBuf, Vec<u8>), ConfigError> {
        self.octets(written, |error, path| error.describe(key, path))
    }

    /// `broken`: what to say of one that can't be read.
    fn octets(
        self,
        written: &Spanned<String>,
        broken: impl FnOnce(Unreadable, &Path) -> ConfigError,
    ) -> Result<(PathBuf, Vec<u8>), ConfigError> {
        let path = self.path(written)?;
        let octets = read::bytes(&path).map_err(|error| broken(error, &path).at(written.span()))?;
        Ok((path, octets))
    }

    /// The same for one that holds a text that is a secret: it may have been written where the name belongs.
    pub(super) fn read_text(
        self,
        key: &str,
        written: &Spanned<String>,
    ) -> Result<(PathBuf, String), ConfigError> {
        let broken = |error, path: &Path| match error {
            Unreadable::Denied { .. } => error.describe(key, path),
            Unreadable::Missing => {
                ConfigError::new(format!("{key} names a file that does not exist")).hint(format!(
                    "write the text to a file, and the file's name to {key}"
                ))
            }
            Unreadable::Other(error) => {
                ConfigError::new(format!("{key} names a file that can't be read: {error}"))
            }
        };
        let (path, bytes) = self.octets(written, broken)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            ConfigError::new(format!("{key} {} is not text", path.display())).at(written.span())
        })?;
        Ok((path, text))
    }
}

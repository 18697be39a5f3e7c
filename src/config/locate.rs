//! Which file is read.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::error::ConfigError;
use super::read;
use crate::relay::failure::{Exit, Failure};

/// The usual file of a command.
#[derive(Debug)]
pub(super) struct Usual {
    name: &'static str,
    /// What it is for.
    what: &'static str,
    smallest: &'static str,
    /// How to go without one.
    without: Option<&'static str>,
}

pub(super) const RUN: Usual = Usual {
    name: "config.toml",
    what: "the configuration says which KDC proxy serves which realm",
    smallest: r#"
    [realms."EXAMPLE.COM"]
    proxies = ["https://kdcproxy.example.com/KdcProxy"]"#,
    without: Some("loopkdc run --realm EXAMPLE.COM=https://kdcproxy.example.com/KdcProxy"),
};

pub(super) const GATEWAY: Usual = Usual {
    name: "gateway.toml",
    what: "the gateway's configuration says which KDCs serve which realm",
    smallest: r#"
    [gateway]
    certificate = "gateway.pem"
    key = "gateway-key.pem"

    [realms."EXAMPLE.COM"]
    kdcs = ["dc1.example.com"]"#,
    without: None,
};

impl Usual {
    /// The file and its text: the one that was `given`, else the first that exists in the usual places.
    pub(super) fn read(&self, given: Option<&Path>) -> Result<(PathBuf, String), Failure> {
        let places = given.map_or_else(|| self.places(), |path| vec![path.to_owned()]);
        self.first(&places)
    }

    /// The user's file comes before the system's.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        let user = ProjectDirs::from("", "", "loopkdc").map(|dirs| dirs.config_dir().to_owned());
        let folders = user.into_iter().chain(["/etc/loopkdc".into()]);
        folders.map(|folder| folder.join(self.name)).collect()
    }

    /// The first that exists. One that exists and can't be read is an error: the next would be a surprise.
    pub(super) fn first(&self, places: &[PathBuf]) -> Result<(PathBuf, String), Failure> {
        for path in places {
            if let Some(text) = open(path)? {
                return Ok((path.clone(), text));
            }
        }
        Err(self.missing(places))
    }

    fn missing(&self, places: &[PathBuf]) -> Failure {
        let names: Vec<_> = places
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let none = match names.as_slice() {
            [name] => format!("{name} does not exist"),
            names => format!("neither {} exists", names.join(" nor ")),
        };
        let mut failure = Failure::new(Exit::Config, format!("{}, and {none}", self.what));
        if let Some(command) = self.without {
            failure = failure.hint(format!("to go without a file: {command}"));
        }
        let make = names.last().map_or(self.name, String::as_str);
        let example = self.name.replace(".toml", ".example.toml");
        let smallest = self.smallest;
        failure.hint(format!(
            "to make one, write into {make} ({example} shows every key):{smallest}"
        ))
    }
}

/// Folders for what a daemon has found out, of which the first that it can use is used: the service manager's, else the
/// system's, else the user's.
pub(crate) fn state_places() -> Vec<PathBuf> {
    let user = ProjectDirs::from("", "", "loopkdc").map(|dirs| {
        let state = dirs.state_dir().unwrap_or(dirs.data_local_dir());
        state.to_owned()
    });
    let given = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
    state_places_of(&given, user)
}

/// systemd names several folders with colons between (systemd.exec(5)).
fn state_places_of(given: &OsStr, user: Option<PathBuf>) -> Vec<PathBuf> {
    let given = std::env::split_paths(given).find(|path| path.is_absolute());
    let usual = [PathBuf::from("/var/lib/loopkdc")].into_iter().chain(user);
    given.map_or_else(|| usual.collect(), |given| vec![given])
}

fn open(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if read::is_missing(&error) => return Ok(None),
        Err(error) => {
            return Err(read::describe(&error, "configuration", path).into_failure(None));
        }
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ConfigError::new(format!("not UTF-8 at byte {at}")).into_failure(Some((path, "")))
    });
    text.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_a_file_wins() {
        let dir = tempfile::tempdir().unwrap();
        let places: Vec<_> = ["a", "b", "c"].map(|name| dir.path().join(name)).to_vec();
        fs::write(&places[1], "b").unwrap();
        fs::write(&places[2], "c").unwrap();
        assert_eq!(
            RUN.first(&places).unwrap(),
            (places[1].clone(), "b".to_owned())
        );
    }

    #[test]
    fn the_systems_place_is_the_last() {
        for usual in [RUN, GATEWAY] {
            let system = PathBuf::from("/etc/loopkdc").join(usual.name);
            assert_eq!(usual.places().last(), Some(&system));
        }
    }

    #[test]
    fn what_is_found_is_kept_where_the_service_manager_says() {
        let user = || Some(PathBuf::from("/home/user/state"));
        let places = |given: &str| state_places_of(OsStr::new(given), user());
        for given in ["/run/a", "/run/a:/run/b", ":/run/a"] {
            assert_eq!(places(given), [Path::new("/run/a")], "{given}");
        }
        let usual = ["/var/lib/loopkdc", "/home/user/state"].map(PathBuf::from);
        for given in ["", "relative"] {
            assert_eq!(places(given), usual, "{given}");
        }
        assert_eq!(state_places_of(OsStr::new(""), None), usual[..1]);
    }

    #[test]
    fn no_file_says_what_it_is_for_and_how_to_make_one() {
        let failure = RUN
            .first(&["/nowhere/user.toml".into(), "/nowhere/etc.toml".into()])
            .unwrap_err();
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
    fn a_gateway_always_needs_a_file() {
        let missing = GATEWAY.read(Some(Path::new("/nowhere/gateway.toml")));
        let shown = missing.unwrap_err().to_string();
        assert!(
            shown.contains(", and /nowhere/gateway.toml does not exist\n"),
            "{shown}"
        );
        assert!(!shown.contains("without a file"), "{shown}");
    }

    #[test]
    fn a_file_in_another_encoding_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, b"# caf\xe9\n").unwrap();
        let failure = open(&file).unwrap_err();
        assert_eq!(
            failure.finding().placed(),
            format!("{}: not UTF-8 at byte 5", file.display())
        );
    }
}

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

//! `loopkdc import`: what other clients' files say of KDC proxies becomes our configuration.
//!
//! `scan` reads, and `found` is what it has found, and writes it. They are pure: files are opened here.

mod found;
mod scan;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::config::{CaFile, Config, Sources, read};
use crate::operate::krb5_conf::{MAX_FILE, Machine};
use crate::operate::terminal;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};
use found::ImportedConfig;
use scan::{Surroundings, scan};

/// Prints the configuration that the file amounts to on stdout, and on stderr what of it was left out, and why.
///
/// # Errors
/// A file that can't be read, or says nothing of KDC proxies.
pub fn import(file: &Path) -> Result<(), Failure> {
    let octets = read::at_most(file, MAX_FILE).map_err(|error| {
        let failure = error.describe("the file", file).into_failure(None);
        failure
            .hint("name the krb5.conf of another client")
            .hint(Hint::command(["loopkdc", "import", "/etc/krb5.conf"]))
    })?;
    let text = decoded(octets).map_err(|why| unreadable(file, why))?;
    let mut found = interpret(file, &text);
    for note in found.notes() {
        terminal::print_warning(&Finding::warning(note));
    }
    if found.realms.is_empty() {
        return Err(nothing(file));
    }
    let written = found.to_string();
    accept(&written)?;
    terminal::print(&written);
    Ok(())
}

fn interpret(file: &Path, text: &str) -> ImportedConfig {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut found = scan(&path.to_string_lossy(), text, &mut Machine);
    let version = env!("CARGO_PKG_VERSION");
    let from = format!(
        "Made from {:?} by \"loopkdc import\", version {version}.",
        file.display().to_string()
    );
    found.remarks.insert(0, from);
    found
}

/// What is written must be what `loopkdc run` takes.
fn accept(written: &str) -> Result<(), Failure> {
    let read = Config::parse(Path::new("what was written"), written, &Sources::default());
    read.map(drop).map_err(|failure| {
        Failure::new(
            Exit::Bug,
            format!(
                "the configuration made of it is not valid: {}",
                failure.message()
            ),
        )
    })
}

/// UTF-16 as Windows writes it, or UTF-8. What is not UTF-8 stands in comments, or is told where it is met.
fn decoded(octets: Vec<u8>) -> Result<String, &'static str> {
    if let Some(units) = octets.strip_prefix(b"\xff\xfe") {
        let (pairs, rest) = units.as_chunks::<2>();
        let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        return match (String::from_utf16(&units), rest) {
            (Ok(text), []) => Ok(text),
            _ => Err("it begins as UTF-16 and does not go on so"),
        };
    }
    if octets.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 with the high octets first, which Windows does not write");
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&octets);
    Ok(String::from_utf8_lossy(octets).into_owned())
}

fn unreadable(file: &Path, why: &str) -> Failure {
    Failure::new(Exit::Config, format!("{}: {why}", file.display()))
}

fn nothing(file: &Path) -> Failure {
    Failure::new(Exit::Config, format!("{} names no KDC proxy that can be taken", file.display()))
        .hint("in a krb5.conf, import takes \"kdc = https://…\" of [realms]")
        .hint(r"of Windows, it takes an export (.reg) of HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers, or lines like: EXAMPLE.COM <https proxy.example.com:443:KdcProxy />")
        .hint("to write a configuration by hand, two lines do: config.example.toml shows every key")
}

impl Surroundings for Machine {
    fn certificates(&self, path: &str) -> Result<String, String> {
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let loaded = CaFile::load(&path);
        loaded.map_err(|broken| broken.into_failure(None).message().to_owned())?;
        path.into_os_string()
            .into_string()
            .map_err(|_| "its path is not UTF-8".to_owned())
    }
}

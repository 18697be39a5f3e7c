//! `loopkdc import`: what other clients' files say of KDC proxies becomes our configuration.
//!
//! `scan` reads a text, and `imported` is what it found, and writes it. They are pure: files are opened here.

mod imported;
mod scan;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::config::read;
use crate::operate::krb5_conf::profile::PROXY_COST;
use crate::operate::krb5_conf::{INSTALL_ONLY, MAX_FILE, Machine};
use crate::operate::terminal;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};
use scan::scan;

/// Prints the configuration that the file amounts to on stdout, and on stderr what of it was left out, and why.
///
/// # Errors
/// A file that can't be read, or says nothing of KDC proxies.
pub fn import(file: &Path) -> Result<(), Failure> {
    let octets = read::at_most(file, MAX_FILE).map_err(|error| {
        let failure = read::describe(&error, "the file", file).into_failure(None);
        failure
            .hint("name the krb5.conf of another client")
            .hint(Hint::typed("loopkdc import /etc/krb5.conf"))
    })?;
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut found = scan(&path.to_string_lossy(), &decoded(&octets), &mut Machine);
    found.check_ca_files();
    for (place, what) in found.notes() {
        terminal::print_warning(&Finding::warning(what).in_file(place.position()));
    }
    if !found.has_proxies() {
        return Err(nothing(file));
    }
    if let Some(place) = &found.native {
        terminal::print_warning(&left_behind().in_file(place.position()));
    }
    let (name, version) = (file.display().to_string(), env!("CARGO_PKG_VERSION"));
    terminal::print(&format!(
        "# Made from {name:?} by \"loopkdc import\", version {version}.\n{found}"
    ));
    Ok(())
}

/// UTF-16 as Windows writes it, or UTF-8. What is neither stands in comments, or is told where it is met.
fn decoded(octets: &[u8]) -> String {
    if let Some(units) = octets.strip_prefix(b"\xff\xfe") {
        let (pairs, _) = units.as_chunks();
        let units: Vec<_> = pairs.iter().copied().map(u16::from_le_bytes).collect();
        return String::from_utf16_lossy(&units);
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    String::from_utf8_lossy(octets).into_owned()
}

/// The lines that were taken would stand beside ours.
fn left_behind() -> Finding {
    let what =
        format!("once loopkdc serves these realms, this line and its like should go: {PROXY_COST}");
    let only = INSTALL_ONLY.split(' ');
    Finding::warning(what).command("have all such lines made comments", only)
}

fn nothing(file: &Path) -> Failure {
    Failure::new(Exit::Config, format!("{} names no KDC proxy that can be taken", file.display()))
        .hint("in a krb5.conf, import takes \"kdc = https://…\" of [realms]")
        .hint(r"of Windows, it takes an export (.reg) of HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers, or lines like: EXAMPLE.COM <https proxy.example.com:443:KdcProxy />")
        .hint("to write a configuration by hand, two lines do: config.example.toml shows every key")
}

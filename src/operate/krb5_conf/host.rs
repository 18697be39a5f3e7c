//! The machine whose krb5.conf is read: its files, its environment, and what of them decides which krb5.conf counts.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::profile::FileSystem;
use crate::config::read;
use crate::relay::status::DaemonKind;

/// The usual file.
pub(crate) const FILE: &str = "/etc/krb5.conf";
/// The largest file that is read, in octets.
pub(crate) const MAX_FILE: u64 = 1024 * 1024;
/// The most names that are read of a directory. Those of libraries hold a few thousand.
const MAX_NAMES: usize = 32 * 1024;
/// Where libraries are, and below which folders of an architecture's name.
const LIBRARIES: [&str; 2] = ["/usr/lib64", "/usr/lib"];
/// Heimdal 7's library. It takes an include before the first section for a mistake, and reads nothing of the file.
pub(crate) const HEIMDAL: &str = "libkrb5.so.26";

/// Files, and the environment of a process.
pub(crate) trait Host: FileSystem {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// systemd is at work, and this unit is not.
    fn is_inactive(&self, unit: &str) -> bool;
}

/// The files of this machine and the environment of this process.
pub(crate) struct Machine;

impl Host for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn is_inactive(&self, unit: &str) -> bool {
        let is_inactive = |output: Output| output.status.code() == Some(3);
        // All other codes but 0 are of a systemctl that doesn't know (systemctl(1), "Exit status").
        systemd_is_at_work() && systemctl(&["is-active", unit]).is_ok_and(is_inactive)
    }
}

impl FileSystem for Machine {
    fn text(&mut self, path: &str) -> Result<String, String> {
        let path = Path::new(path);
        let octets = read::regular(path, MAX_FILE).map_err(|error| {
            let failure = read::describe(&error, "the file", path).into_failure(None);
            failure.message().to_owned()
        })?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(directory).map_err(|error| error.to_string())?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let names: Vec<_> = names.take(MAX_NAMES + 1).collect();
        if names.len() > MAX_NAMES {
            return Err(format!("holds more than {MAX_NAMES} names"));
        }
        let names = names.into_iter();
        Ok(names.filter_map(|name| name.into_string().ok()).collect())
    }
}

/// The files that libkrb5 reads, the first before the others: those of KRB5_CONFIG, or the usual one.
pub(crate) fn files(host: &dyn Host) -> Vec<String> {
    match host.variable("KRB5_CONFIG") {
        Some(list) => {
            let paths = list.split(':').filter(|path| !path.is_empty());
            paths.map(str::to_owned).collect()
        }
        None => vec![FILE.to_owned()],
    }
}

/// The file of a library's folder, or of the folder `below` it, whose name fits.
pub(crate) fn library(
    host: &mut dyn Host,
    fits: impl Fn(&str) -> bool,
    below: &str,
) -> Option<String> {
    let mut folders: Vec<String> = LIBRARIES.map(str::to_owned).to_vec();
    let names = host.names("/usr/lib").unwrap_or_default();
    let of_architecture = names.iter().filter(|name| name.contains("-linux-"));
    folders.extend(of_architecture.map(|name| format!("/usr/lib/{name}")));
    folders.iter().find_map(|folder| {
        let folder = format!("{folder}{below}");
        let names = host.names(&folder).ok()?;
        let name = names.into_iter().find(|name| fits(name))?;
        Some(format!("{folder}/{name}"))
    })
}

/// systemd is at work, and not only in the image of a machine (sd_booted(3)).
pub(crate) fn systemd_is_at_work() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// What systemd says of the socket units; nothing where there is no systemd.
pub(super) fn socket_units() -> String {
    let show = ["show", "--property=UnitFileState,Listen"];
    systemctl_says(&[&show[..], &["loopkdc.socket", "loopkdc-kpasswd.socket"]].concat())
}

/// The machine's systemd, and the own one of who asks.
pub(crate) const MANAGERS: [&str; 2] = ["--system", "--user"];

/// Where a systemd listens for `daemon` at the moment, which it tells everybody.
pub(crate) fn held_addresses(manager: &str, daemon: DaemonKind) -> Vec<String> {
    let units = match daemon {
        DaemonKind::Run => &["loopkdc.socket", "loopkdc-kpasswd.socket"][..],
        DaemonKind::Gateway => &["loopkdc-gateway.socket"],
    };
    let of_unit = |said: &str| {
        let is_active = property(said, "ActiveState") == Some("active");
        let listen = said.lines().filter_map(|line| line.strip_prefix("Listen="));
        let addresses = listen.filter_map(|listen| Some(listen.rsplit_once(" (")?.0.to_owned()));
        addresses.filter(|_| is_active).collect::<Vec<_>>()
    };
    let show = [manager, "show", "--property=ActiveState,Listen"];
    let said = systemctl_says(&[&show[..], units].concat());
    said.split("\n\n").flat_map(of_unit).collect()
}

/// systemd starts `daemon` when the first client comes, and none has come.
pub(crate) fn is_waited_for(daemon: DaemonKind) -> bool {
    let service = format!("{}.service", daemon.unit());
    let rests = |manager: &&str| {
        let show = [manager, "show", "--property=ActiveState", &service];
        let said = systemctl_says(&show);
        property(&said, "ActiveState") == Some("inactive")
    };
    let waits = |manager: &&str| !held_addresses(manager, daemon).is_empty() && rests(manager);
    MANAGERS.iter().any(waits)
}

/// What systemctl says to these words; nothing where there is no systemctl.
pub(crate) fn systemctl_says(words: &[&str]) -> String {
    let stdout = systemctl(words).map(|output| output.stdout);
    String::from_utf8_lossy(&stdout.unwrap_or_default()).into_owned()
}

/// A property in what `systemctl show` said; none if it is empty.
pub(crate) fn property<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let mut values = said
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.next().filter(|value| !value.is_empty())
}

/// # Errors
/// There is no systemctl here.
pub(super) fn systemctl(words: &[&str]) -> io::Result<Output> {
    Command::new("systemctl")
        .args(words)
        .stdin(Stdio::null())
        .output()
}

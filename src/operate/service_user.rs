//! The gateway's files with the eyes of the user that it runs as, which is seldom that of whoever asks.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::user;
use crate::operate::krb5_conf::host::systemctl_says;
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::status::DaemonKind;

/// What systemd gives to a unit with DynamicUser= first (systemd.exec(5)): nobody's number.
const DYNAMIC: &str = "61184";
/// Says, with a NUL behind each, which of its arguments can't be gone through or read.
const LOOK: &str = r#"for f; do if [ -d "$f" ]; then [ -x "$f" ]; else [ -r "$f" ]; fi || printf '%s\0' "$f"; done"#;

/// As whom the gateway runs, in the words of setpriv(1).
#[derive(Debug, PartialEq, Eq)]
struct ServiceUser {
    user: String,
    group: String,
    /// With commas.
    groups: String,
}

/// Whether the gateway may read `files`: as the process `pid`, if it runs, else as its unit says.
pub(super) fn examine(files: &[PathBuf], pid: Option<u32>) -> Vec<Finding> {
    let skipped = |why: &str| {
        let why = format!("whether the service may read it all: {why}");
        Finding::skipped(Layer::Configuration, why)
    };
    let Some(service) = pid.and_then(of_process).or_else(of_unit) else {
        return vec![skipped("no unit says as whom it runs")];
    };
    if !user::is_root() {
        let doctor = Hint::command(DaemonKind::Gateway.as_root("doctor"));
        return vec![skipped("root alone can tell").hint(doctor)];
    }
    let Some(denied) = service.denied(files) else {
        return vec![skipped("setpriv(1) does not work here")];
    };
    let ServiceUser { user, group, .. } = &service;
    if denied.is_empty() {
        let what = format!("the service, user {user} and group {group}, may read it all");
        return vec![Finding::ok(Layer::Configuration, what)];
    }
    let fault = |path: &PathBuf| {
        let shown = path.display().to_string();
        let (may, rights) = if path.is_dir() {
            ("look into", "g+x")
        } else {
            ("read", "g+r")
        };
        let what = format!("the service, user {user} and group {group}, may not {may} {shown}");
        let fault = Finding::fault(what).on(Layer::Configuration);
        let fault = fault.command("let its group", ["chgrp", group, &shown]);
        fault.hint(Hint::command(["chmod", rights, &shown]))
    };
    denied.iter().map(fault).collect()
}

/// Of the process itself (proc_pid_status(5)).
fn of_process(pid: u32) -> Option<ServiceUser> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let words = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>())
    };
    Some(ServiceUser {
        // The real one, and then the effective one.
        user: (*words("Uid:")?.get(1)?).to_owned(),
        group: (*words("Gid:")?.get(1)?).to_owned(),
        groups: words("Groups:")?.join(","),
    })
}

fn of_unit() -> Option<ServiceUser> {
    let unit = format!("{}.service", DaemonKind::Gateway.unit());
    let what = "LoadState,User,Group,SupplementaryGroups";
    said_of_unit(&systemctl_says(&["show", "-p", what, &unit]))
}

fn said_of_unit(said: &str) -> Option<ServiceUser> {
    let value = |name: &str| {
        let mut values = said
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.next().filter(|value| !value.is_empty())
    };
    if value("LoadState") != Some("loaded") {
        return None;
    }
    let user = value("User").unwrap_or(DYNAMIC);
    Some(ServiceUser {
        user: user.to_owned(),
        group: value("Group").unwrap_or(user).to_owned(),
        groups: value("SupplementaryGroups").map_or(String::new(), |names| names.replace(' ', ",")),
    })
}

impl ServiceUser {
    /// What of `files` it may not read, or the first folder on the way that stops it. None: it can't be tried.
    fn denied(&self, files: &[PathBuf]) -> Option<BTreeSet<PathBuf>> {
        let ways: Vec<Vec<PathBuf>> = files.iter().map(|file| way(file)).collect();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &self.user, "--regid", &self.group])
            .args(match self.groups.as_str() {
                "" => vec!["--clear-groups"],
                groups => vec!["--groups", groups],
            })
            .args(["sh", "-c", LOOK, "sh"])
            .args(ways.iter().flatten())
            .stdin(Stdio::null());
        let output = command.output().ok()?;
        if !output.status.success() && !output.stderr.is_empty() {
            return None;
        }
        let said = output.stdout.split(|octet| *octet == 0);
        let said = said.map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
        let said: BTreeSet<_> = said.collect();
        let first = |way: &Vec<PathBuf>| way.iter().find(|part| said.contains(*part)).cloned();
        Some(ways.iter().filter_map(first).collect())
    }
}

/// The folders on the way to `file` and the file, by its name and, behind links, by its real one.
fn way(file: &Path) -> Vec<PathBuf> {
    let named = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let real = fs::canonicalize(&named).unwrap_or_else(|_| named.clone());
    let mut way = Vec::new();
    for path in [named, real] {
        let mut parts: Vec<_> = path.ancestors().map(Path::to_owned).collect();
        parts.reverse();
        parts.retain(|part| !part.as_os_str().as_bytes().is_empty());
        way.extend(parts);
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(user: &str, group: &str, groups: &str) -> ServiceUser {
        let [user, group, groups] = [user, group, groups].map(str::to_owned);
        ServiceUser {
            user,
            group,
            groups,
        }
    }

    #[test]
    fn a_unit_says_as_whom_it_runs() {
        let loaded = "LoadState=loaded\nUser=\nGroup=loopkdc\nSupplementaryGroups=ssl-cert other\n";
        assert_eq!(
            said_of_unit(loaded),
            Some(user(DYNAMIC, "loopkdc", "ssl-cert,other"))
        );
        let named = "LoadState=loaded\nUser=kdcproxy\nGroup=\nSupplementaryGroups=\n";
        assert_eq!(said_of_unit(named), Some(user("kdcproxy", "kdcproxy", "")));
        for none in ["LoadState=not-found\nGroup=loopkdc\n", ""] {
            assert_eq!(said_of_unit(none), None);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_says_as_whom_it_runs() {
        let own = of_process(std::process::id()).unwrap();
        assert_eq!(own.user, user::id().to_string());
        assert_eq!(of_process(u32::MAX), None);
    }
}

//! The gateway's files with the eyes of the user that it runs as, which is seldom that of whoever asks.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::user;
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
    let skipped = |why: &str| vec![Finding::skipped(Layer::Configuration, why)];
    let service = pid.and_then(of_process).or_else(of_unit);
    let Some(service) = service else {
        return skipped("whether the service may read it all: no unit says as whom it runs");
    };
    if !user::is_root() {
        let why = "whether the service may read it all: root alone can tell";
        let doctor = ["sudo"]
            .into_iter()
            .chain(DaemonKind::Gateway.command("doctor"));
        let hint = Hint::command(doctor);
        return skipped(why)
            .into_iter()
            .map(|it| it.hint(hint.clone()))
            .collect();
    }
    let Some(denied) = service.denied(files) else {
        return skipped("whether the service may read it all: setpriv(1) does not work here");
    };
    let ServiceUser { user, group, .. } = &service;
    if denied.is_empty() {
        let what = format!("the service, user {user} and group {group}, may read it all");
        return vec![Finding::ok(Layer::Configuration, what)];
    }
    let fault = |path: &PathBuf| {
        let shown = path.display().to_string();
        let may = if path.is_dir() { "look into" } else { "read" };
        let rights = if path.is_dir() { "g+x" } else { "g+r" };
        Finding::fault(format!(
            "the service, user {user} and group {group}, may not {may} {shown}"
        ))
        .on(Layer::Configuration)
        .command("let its group", ["chgrp", group, &shown])
        .hint(Hint::command(["chmod", rights, &shown]))
    };
    denied.iter().map(fault).collect()
}

/// Of the process itself (proc_pid_status(5)).
fn of_process(pid: u32) -> Option<ServiceUser> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = |name: &str| {
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        Some(
            line?
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    Some(ServiceUser {
        // The real one, and then the effective one.
        user: line("Uid:")?.get(1)?.clone(),
        group: line("Gid:")?.get(1)?.clone(),
        groups: line("Groups:")?.join(","),
    })
}

fn of_unit() -> Option<ServiceUser> {
    let mut command = Command::new("systemctl");
    command.args(["show", "-p", "LoadState,User,Group,SupplementaryGroups"]);
    command.arg(format!("{}.service", DaemonKind::Gateway.unit()));
    let output = command.stdin(Stdio::null()).output().ok()?;
    said_of_unit(&String::from_utf8_lossy(&output.stdout))
}

fn said_of_unit(said: &str) -> Option<ServiceUser> {
    let value = |name: &str| {
        let mut lines = said.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| !value.is_empty())
    };
    if value("LoadState") != Some("loaded") {
        return None;
    }
    let user = value("User").unwrap_or(DYNAMIC);
    Some(ServiceUser {
        user: user.to_owned(),
        group: value("Group").unwrap_or(user).to_owned(),
        groups: value("SupplementaryGroups")
            .unwrap_or_default()
            .replace(' ', ","),
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

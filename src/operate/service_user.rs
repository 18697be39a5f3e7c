//! A daemon's files with the eyes of the user that it runs as, which is seldom that of whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fmt, fs};

use crate::daemon::user;
use crate::operate::circumstances::process_folder;
use crate::operate::krb5_conf::host::{property, systemctl_says};
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::status::DaemonKind;

/// What systemd gives to a unit with DynamicUser= first (systemd.exec(5)): nobody's number.
const DYNAMIC: &str = "61184";
/// Where what a service reads belongs.
const FOLDER: &str = "/etc/loopkdc";
/// What of a unit hides folders from its processes, and which (systemd.exec(5)).
const HIDERS: [(&str, &[&str]); 2] = [
    ("ProtectHome", &["/home", "/root", "/run/user"]),
    ("PrivateTmp", &["/tmp", "/var/tmp"]),
];
/// Says, with a NUL behind each, which of its arguments can't be gone through or read.
const LOOK: &str = r#"for f; do if [ -d "$f" ]; then [ -x "$f" ]; else [ -r "$f" ]; fi || printf '%s\0' "$f"; done"#;

/// The numbers that systemd gives to such users and their groups.
const DYNAMICS: RangeInclusive<u32> = 61184..=65519;

/// The daemon's unit (systemd.exec(5)).
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    /// Its process, or 0.
    pid: u32,
    /// What starts it.
    start: String,
    user: ServiceUser,
    /// What it hides from its processes, and the folders.
    hides: Vec<(&'static str, &'static [&'static str])>,
}

/// As whom the daemon runs, in the words of setpriv(1).
#[derive(Debug, PartialEq, Eq)]
struct ServiceUser {
    user: String,
    group: String,
    /// With commas.
    groups: String,
}

/// Whether the service may read `files`, of which `source` is the configuration: as the process `pid`, if it runs, else as its unit
/// says, if that reads `source`.
pub(super) fn examine(
    daemon: DaemonKind,
    source: &Path,
    files: &BTreeSet<PathBuf>,
    pid: Option<u32>,
) -> Vec<Finding> {
    let skipped = |why: &str| {
        let why = format!("whether the service may read it all: {why}");
        vec![Finding::skipped(Layer::Configuration, why)]
    };
    let reads_it = |unit: &Unit| pid.is_none_or(|pid| pid == unit.pid) && unit.reads(source);
    let unit = Unit::of(daemon).filter(reads_it);
    let process = pid.and_then(of_process);
    let hides = unit
        .as_ref()
        .map_or_else(Vec::new, |unit| unit.hides.clone());
    let Some(service) = process.or_else(|| unit.map(|unit| unit.user)) else {
        return match daemon {
            DaemonKind::Gateway => skipped("no unit says as whom it runs"),
            DaemonKind::Run => Vec::new(),
        };
    };
    if service.user == user::id().to_string() {
        // Who asks has read it all.
        return Vec::new();
    }
    if !user::is_root() {
        let mut skipped = skipped("root alone can tell");
        let doctor = Hint::command(daemon.as_root("doctor"));
        skipped
            .iter_mut()
            .for_each(|it| it.hints.push(doctor.clone()));
        return skipped;
    }
    let (hidden, seen): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| hider(&hides, file).is_some());
    let hidden = hidden.into_iter().filter_map(|file| {
        let hider = hider(&hides, file)?;
        Some(service.of_hidden(daemon, source, file, hider))
    });
    let denied = service.denied(&seen).map_or_else(
        || skipped("setpriv(1) does not work here"),
        |denied| {
            let stops = denied.iter();
            let fault =
                |(stop, file): (&PathBuf, &&PathBuf)| service.of_denied(daemon, source, stop, file);
            stops.map(fault).collect()
        },
    );
    let mut findings: Vec<_> = hidden.chain(denied).collect();
    if findings.is_empty() {
        let what = format!("{service} may read it all");
        findings.push(Finding::ok(Layer::Configuration, what));
    }
    findings
}

/// What hides `file`, by its name or by its real one.
fn hider(hides: &[(&'static str, &'static [&'static str])], file: &Path) -> Option<&'static str> {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let is_below = |folder: &&str| file.starts_with(folder) || real.starts_with(folder);
    let hider = hides
        .iter()
        .find(|(_, folders)| folders.iter().any(is_below));
    hider.map(|(name, _)| *name)
}

/// Of the process itself (proc_pid_status(5)).
fn of_process(pid: u32) -> Option<ServiceUser> {
    let status = fs::read_to_string(process_folder(pid)?.join("status")).ok()?;
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

impl Unit {
    /// None: there is no such unit.
    fn of(daemon: DaemonKind) -> Option<Self> {
        let unit = format!("{}.service", daemon.unit());
        let what = "LoadState,MainPID,ExecStart,DynamicUser,User,Group,SupplementaryGroups,ProtectHome,PrivateTmp";
        Self::parse(&systemctl_says(&["show", "-p", what, &unit]))
    }

    fn parse(said: &str) -> Option<Self> {
        let value = |name: &str| property(said, name);
        if value("LoadState") != Some("loaded") {
            return None;
        }
        // What systemd makes has its name only as long as the service runs.
        let lasts =
            |name: &&str| value("DynamicUser") != Some("yes") || Some(*name) != value("User");
        let user = value("User").filter(lasts).unwrap_or(DYNAMIC);
        let group = value("Group").filter(lasts).unwrap_or(user);
        let groups = value("SupplementaryGroups");
        let is_set = |name: &str| !matches!(value(name), None | Some("no" | "read-only"));
        let hides = HIDERS.into_iter().filter(|(name, _)| is_set(name));
        Some(Self {
            pid: value("MainPID")
                .and_then(|pid| pid.parse().ok())
                .unwrap_or(0),
            start: value("ExecStart").unwrap_or_default().to_owned(),
            user: ServiceUser {
                user: user.to_owned(),
                group: group.to_owned(),
                groups: groups.map_or(String::new(), |names| names.replace(' ', ",")),
            },
            hides: hides.collect(),
        })
    }

    /// It starts the daemon with this configuration, as far as its words say.
    fn reads(&self, source: &Path) -> bool {
        let source = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
        let words = self.start.split_whitespace();
        let mut files = words.map(|word| Path::new(word.strip_prefix("--config=").unwrap_or(word)));
        files.any(|file| file == source)
    }
}

impl fmt::Display for ServiceUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, group, .. } = self;
        write!(f, "the service, user {user} and group {group},")
    }
}

impl ServiceUser {
    /// The group that a file can be given to: that of a user which systemd makes is another one at each start.
    fn lasting_group(&self) -> Option<&str> {
        let mut groups = std::iter::once(self.group.as_str()).chain(self.groups.split(','));
        let lasts = |group: &&str| {
            let number = group.parse();
            !group.is_empty() && !number.is_ok_and(|number| DYNAMICS.contains(&number))
        };
        groups.find(lasts)
    }

    /// It may not read `stop`, which is `file`, or look into a folder on the way to that.
    fn of_denied(&self, daemon: DaemonKind, source: &Path, stop: &Path, file: &Path) -> Finding {
        let shown = stop.display().to_string();
        let (may, rights) = if stop.is_dir() {
            ("look into", "g+x")
        } else {
            ("read", "g+r")
        };
        let fault = Finding::fault(format!("{self} may not {may} {shown}"));
        let fault = fault.on(Layer::Configuration);
        let Some(group) = self.lasting_group() else {
            return to_have_a_group(fault, daemon);
        };
        // Others may have a say in who looks into the folders of the system and of people.
        if stop.is_dir() && !stop.starts_with(FOLDER) {
            return to_lie_elsewhere(fault, group, source, file);
        }
        let fault = fault.command("let its group", ["chgrp", group, &shown]);
        fault.hint(Hint::command(["chmod", rights, &shown]))
    }

    /// `file` is below a folder that `hider` hides.
    fn of_hidden(&self, daemon: DaemonKind, source: &Path, file: &Path, hider: &str) -> Finding {
        let unit = daemon.unit();
        let shown = file.display();
        let what = format!(
            "{shown} can't be seen by the service: {hider}= of {unit}.service hides its folder"
        );
        let fault = Finding::fault(what).on(Layer::Configuration);
        let Some(group) = self.lasting_group() else {
            return to_have_a_group(fault, daemon);
        };
        to_lie_elsewhere(fault, group, source, file)
    }

    /// What of `files` it may not read, behind the first folder on the way that stops it, or itself. None: it can't be tried.
    fn denied<'a>(&self, files: &[&'a PathBuf]) -> Option<BTreeMap<PathBuf, &'a PathBuf>> {
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
        let stop = |way: &Vec<PathBuf>| way.iter().find(|part| said.contains(*part)).cloned();
        let stops = ways.iter().zip(files);
        Some(
            stops
                .filter_map(|(way, file)| Some((stop(way)?, *file)))
                .collect(),
        )
    }
}

/// `fault`, and how `daemon` gets a group that files can be given to.
fn to_have_a_group(fault: Finding, daemon: DaemonKind) -> Finding {
    let unit = daemon.unit();
    let group = match daemon {
        DaemonKind::Run => "loopkdc-client",
        DaemonKind::Gateway => "loopkdc",
    };
    let purpose = format!("below [Service] write SupplementaryGroups={group}");
    fault.typed(purpose, &format!("systemctl edit {unit}"))
}

/// `fault`, and where `file`, which `source` names, is the service's to read.
fn to_lie_elsewhere(fault: Finding, group: &str, source: &Path, file: &Path) -> Finding {
    let copy = Path::new(FOLDER).join(file.file_name().unwrap_or_default());
    let (shown, copy) = (file.display().to_string(), copy.display().to_string());
    let words = ["install", "-D", "-m", "640", "-g", group, &shown, &copy];
    let named = match file == source {
        true => format!("and name {copy} behind --config in the unit: systemctl edit"),
        false => format!("and name {copy} in {}", source.display()),
    };
    fault.command("put it elsewhere", words).hint(named)
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
        let unit = Unit::parse(loaded).unwrap();
        assert_eq!(unit.user, user(DYNAMIC, "loopkdc", "ssl-cert,other"));
        assert_eq!(unit.user.lasting_group(), Some("loopkdc"));
        let named = "LoadState=loaded\nUser=kdcproxy\nGroup=\nSupplementaryGroups=\n";
        let unit = Unit::parse(named).unwrap();
        assert_eq!(unit.user, user("kdcproxy", "kdcproxy", ""));
        let dynamic = "LoadState=loaded\nDynamicUser=yes\nUser=loopkdc-run\nGroup=loopkdc-run\nSupplementaryGroups=loopkdc-client\n";
        let unit = Unit::parse(dynamic).unwrap();
        assert_eq!(unit.user, user(DYNAMIC, DYNAMIC, "loopkdc-client"));
        assert_eq!(unit.user.lasting_group(), Some("loopkdc-client"));
        assert_eq!(user("61300", "61300", "").lasting_group(), None);
        for none in ["LoadState=not-found\nGroup=loopkdc\n", ""] {
            assert_eq!(Unit::parse(none), None);
        }
    }

    #[test]
    fn a_unit_says_what_it_reads_and_hides() {
        let said = "LoadState=loaded\nMainPID=7\nProtectHome=yes\nPrivateTmp=no\nExecStart={ path=/usr/bin/loopkdc ; argv[]=/usr/bin/loopkdc run --config /etc/loopkdc/config.toml ; pid=0 }\n";
        let unit = Unit::parse(said).unwrap();
        assert_eq!(unit.pid, 7);
        assert!(unit.reads(Path::new("/etc/loopkdc/config.toml")));
        assert!(!unit.reads(Path::new("/etc/loopkdc/other.toml")));
        let hidden = |file: &str| hider(&unit.hides, Path::new(file));
        assert_eq!(hidden("/root/ca.pem"), Some("ProtectHome"));
        for seen in ["/rooted/ca.pem", "/tmp/ca.pem", "/etc/loopkdc/ca.pem"] {
            assert_eq!(hidden(seen), None);
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

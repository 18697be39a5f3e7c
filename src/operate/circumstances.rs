//! How the daemon that a command is about was started, and what the commands of hints have to say for that: of which file, and by
//! whose manager.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::config::{self, Sources};
use crate::operate::krb5_conf::host::systemd_is_at_work;
use crate::relay::finding::{Finding, Hint};
use crate::relay::status::StatusDocument;

/// Reads the words after which a daemon was started: what `loopkdc run` makes of them, or nothing if they are another command's.
pub type ReadWords = fn(Vec<OsString>) -> Option<Sources>;

/// Where the system's services have their configuration, root's as everybody's.
const SYSTEM: &str = "/etc/loopkdc";
/// The commands that read the configuration of `loopkdc run` or of a gateway.
const READERS: [&str; 6] = ["check", "doctor", "gateway", "krb5-conf", "run", "wait"];

/// What the commands of hints have to say.
#[derive(Debug, Default)]
pub(super) struct Circumstances {
    /// The configuration, if somebody has named it.
    file: Option<PathBuf>,
    manager: Manager,
}

/// Who starts and stops the daemon.
#[derive(Debug, Default, PartialEq, Eq)]
enum Manager {
    /// The machine's systemd.
    #[default]
    System,
    /// A user's own.
    User,
    /// Whoever has started this process.
    Nobody(u32),
}

impl Circumstances {
    /// Of the daemon that says `status` of itself, if one runs, and of a configuration that was named.
    pub(super) fn new(file: Option<&Path>, status: Option<&StatusDocument>) -> Self {
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        Self {
            file: file.filter(|file| !config::is_usual(file)),
            manager: status.map_or_else(Manager::default, |status| Manager::of(status.pid)),
        }
    }

    /// `finding`, of which each command can be typed as it stands, in any folder.
    pub(super) fn fit(&self, mut finding: Finding) -> Finding {
        let hints = std::mem::take(&mut finding.hints).into_iter();
        finding.hints = hints.flat_map(|hint| self.fit_hint(hint)).collect();
        finding
    }

    fn fit_hint(&self, hint: Hint) -> Vec<Hint> {
        let Hint::Command(words) = &hint else {
            return vec![hint];
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (words.as_slice(), &self.manager) {
            (["systemctl", "reload", _], Manager::Nobody(pid)) => {
                vec![Hint::command(["kill", "-HUP", &pid.to_string()])]
            }
            (["systemctl", "restart", unit], Manager::Nobody(pid)) if is_ours(unit) => {
                let stop = Hint::command(["kill", &pid.to_string()]);
                vec![stop, "and start it as before".into()]
            }
            ([tool @ ("systemctl" | "journalctl"), rest @ ..], Manager::User)
                if rest.iter().any(|word| is_ours(word)) =>
            {
                vec![Hint::command([tool, "--user"].iter().chain(rest).copied())]
            }
            _ => vec![self.of_file(&words).unwrap_or(hint)],
        }
    }

    /// The command of `words` with the file that it is about, if it would read another one.
    fn of_file(&self, words: &[&str]) -> Option<Hint> {
        let file = self.file.as_deref()?;
        let (command, is_sudo) = match words {
            ["sudo", "loopkdc", command, ..] => (command, true),
            ["loopkdc", command, ..] => (command, false),
            _ => return None,
        };
        let says = words.contains(&"--config") || is_sudo && file.starts_with(SYSTEM);
        if says || !READERS.contains(command) {
            return None;
        }
        let file = file.display().to_string();
        Some(Hint::command(
            words.iter().copied().chain(["--config", &file]),
        ))
    }
}

/// The word names one of our units.
fn is_ours(word: &str) -> bool {
    word.starts_with("loopkdc")
}

impl Manager {
    /// By the group that systemd has put the process into (cgroups(7)). A process that can't be seen is taken for the system's.
    fn of(pid: u32) -> Self {
        let Ok(groups) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else {
            return Self::default();
        };
        let mut groups = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let of_unit = |group: &&str| {
            let unit = group.rsplit('/').next();
            unit.is_some_and(|unit| is_ours(unit) && unit.ends_with(".service"))
        };
        match groups.find(of_unit) {
            Some(group) if group.contains("/user@") => Self::User,
            Some(_) if systemd_is_at_work() => Self::System,
            _ => Self::Nobody(pid),
        }
    }
}

/// What process `pid`, which runs on this machine, was started with, its files by their absolute names (proc_pid_cmdline(5)).
pub(super) fn sources_of(pid: u32, read_words: ReadWords) -> Option<Sources> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let words = fs::read(folder.join("cmdline")).ok()?;
    let words = words.strip_suffix(&[0]).unwrap_or(&words);
    let words = words.split(|octet| *octet == 0);
    let words = words.map(|word| OsString::from_vec(word.to_vec()));
    let mut sources = read_words(words.collect())?;
    let started_in = fs::read_link(folder.join("cwd")).unwrap_or_default();
    for file in [&mut sources.file, &mut sources.ca_file] {
        *file = file.take().map(|file| started_in.join(file));
    }
    Some(sources)
}

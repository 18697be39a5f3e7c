//! How the daemon that a command is about was started, and what the commands of hints have to say for that: of which file, and by
//! whose manager.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::{self, Sources};
use crate::daemon::user;
use crate::operate::krb5_conf::host::systemd_is_at_work;
use crate::operate::status::{DaemonProcess, StatusReply};
use crate::relay::finding::{Finding, Hint};

/// Reads the words after which a daemon was started: what `loopkdc run` makes of them, or nothing if they are another command's.
pub type ReadWords = fn(Vec<OsString>) -> Option<Sources>;

/// Where the system's services have their configuration.
const SYSTEM: [&str; 2] = ["/etc/loopkdc/config.toml", "/etc/loopkdc/gateway.toml"];
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
    /// Whoever has started this process of this user, if that is another one.
    Nobody { pid: u32, is_others: bool },
}

impl Circumstances {
    /// Of the daemon that is `process`, if one runs, and of a configuration that was named.
    pub(super) fn new(file: Option<&Path>, process: Option<DaemonProcess>) -> Self {
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        Self {
            file: file.filter(|file| !config::is_usual(file)),
            manager: process.map_or_else(Manager::default, Manager::of),
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
            (["systemctl", "reload", unit], Manager::Nobody { pid, is_others })
                if is_ours(unit) =>
            {
                vec![signal("-HUP", *pid, *is_others)]
            }
            (["systemctl", "restart", unit], Manager::Nobody { pid, is_others })
                if is_ours(unit) =>
            {
                vec![
                    signal("-TERM", *pid, *is_others),
                    "and start it as before".into(),
                ]
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
        // root finds these without a word.
        let is_roots = SYSTEM.iter().any(|usual| file == Path::new(usual));
        if words.contains(&"--config") || is_sudo && is_roots || !READERS.contains(command) {
            return None;
        }
        let file = file.display().to_string();
        Some(Hint::command(
            words.iter().copied().chain(["--config", &file]),
        ))
    }
}

fn signal(name: &str, pid: u32, is_others: bool) -> Hint {
    let sudo = is_others.then_some("sudo").into_iter();
    Hint::command(sudo.chain(["kill", name, &pid.to_string()]))
}

/// The word is the name of one of our units.
fn is_ours(word: &str) -> bool {
    word.starts_with("loopkdc")
}

impl Manager {
    /// By the group that systemd has put the process into (cgroups(7)). A process that is not known is taken for the system's.
    fn of(process: DaemonProcess) -> Self {
        let Some(pid) = process.pid else {
            return Self::default();
        };
        let groups = process_folder(pid).map(|folder| fs::read_to_string(folder.join("cgroup")));
        let groups = groups.and_then(Result::ok).unwrap_or_default();
        let is_others = !user::is_root() && process.user != user::id();
        let mut groups = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let of_unit = |group: &&str| {
            let unit = group.rsplit('/').next();
            unit.is_some_and(|unit| is_ours(unit) && unit.ends_with(".service"))
        };
        match groups.find(of_unit) {
            Some(group) if group.contains("/user@") => Self::User,
            Some(_) if systemd_is_at_work() => Self::System,
            _ => Self::Nobody { pid, is_others },
        }
    }
}

/// What the daemon that runs was started with, its files by their absolute names: its words (proc_pid_cmdline(5)), or else the file
/// that it names itself. Nothing if it is neither root's nor the asker's own, and that file is not root's alone: who has taken the
/// daemon over must not have root read, and show to a proxy, what it names.
pub(super) fn sources_of(reply: &StatusReply, read_words: ReadWords) -> Option<Sources> {
    let file = reply.document.configuration.file.as_ref();
    let named = || Some(Sources::of_file(Some(file?.as_str().into())));
    let words = reply
        .process
        .pid
        .and_then(|pid| started_with(pid, read_words));
    let sources = words.or_else(named)?;
    let is_roots = || sources.file.as_deref().is_some_and(is_roots_alone);
    (reply.process.is_trusted() || is_roots()).then_some(sources)
}

/// What the system tells of the process. None: /proc counts processes in another way than this one (pid_namespaces(7)).
pub(super) fn process_folder(pid: u32) -> Option<PathBuf> {
    let own = std::process::id().to_string();
    let counts_alike = fs::read_link("/proc/self").is_ok_and(|link| link == Path::new(&own));
    counts_alike.then(|| PathBuf::from(format!("/proc/{pid}")))
}

fn started_with(pid: u32, read_words: ReadWords) -> Option<Sources> {
    let folder = process_folder(pid)?;
    let words = fs::read(folder.join("cmdline")).ok()?;
    let words = words.strip_suffix(&[0]).unwrap_or(&words);
    let words = words.split(|octet| *octet == 0);
    let words = words.map(|word| OsString::from_vec(word.to_vec()));
    let mut sources = read_words(words.collect())?;
    // Its owner's and root's to read.
    let started_in = fs::read_link(folder.join("cwd")).ok();
    for named in [&mut sources.file, &mut sources.ca_file]
        .into_iter()
        .flatten()
    {
        if named.is_relative() {
            *named = started_in.as_ref()?.join(&*named);
        }
    }
    Some(sources)
}

/// Nobody but root can change the file, or what stands under its name.
fn is_roots_alone(file: &Path) -> bool {
    let is_roots = |part: &Path| {
        let metadata = part.metadata();
        metadata.is_ok_and(|metadata| metadata.uid() == 0 && metadata.mode() & 0o022 == 0)
    };
    let real = file.canonicalize();
    real.is_ok_and(|real| real.ancestors().all(is_roots))
}

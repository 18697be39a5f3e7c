//! Whose a process is that listens where loopkdc should. Its name says little: anybody may call a program loopkdc, and where a
//! port needs no privilege listen there before it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::relay::text::short;

/// What processes of this program are called.
const OURS: &str = "loopkdc";
/// Who listens for it until a client comes.
const MANAGER: &str = "systemd";
/// Where the manager puts what it starts, by whatever user (systemd.special(7), cgroups(7)).
const UNIT: &str = "/system.slice/loopkdc.service";

/// What Linux tells of a process (proc(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    /// What it calls itself, at most 15 octets.
    name: String,
    /// In whose name it acts.
    user: Option<u32>,
    /// Its program, if whoever asks may know.
    program: Option<PathBuf>,
    is_unit: bool,
}

/// Who that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// This machine's loopkdc, or that of the user who asks.
    Ours,
    /// The service manager of either.
    Manager,
    /// Somebody who goes by one of these names.
    Namesake,
    /// A program by another name.
    Other,
}

impl Process {
    /// The process by this number; nothing if there is none, or none that is seen.
    pub(super) fn read(proc: &Path, id: u32) -> Option<Self> {
        let folder = proc.join(id.to_string());
        let read = |file| fs::read_to_string(folder.join(file)).ok();
        let status = read("status").unwrap_or_default();
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let groups = read("cgroup").unwrap_or_default();
        Some(Self {
            id,
            name: read("comm")?.trim_end().to_owned(),
            // The real one, and then the effective one.
            user: user.and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok()),
            program: fs::read_link(folder.join("exe")).ok(),
            // A user makes groups by this name, too, below their own.
            is_unit: groups
                .lines()
                .any(|line| line.splitn(3, ':').nth(2) == Some(UNIT)),
        })
    }

    /// Who it is, to `asker`.
    pub(super) fn who(&self, asker: u32) -> Who {
        let is_believed = self.is_unit || self.user.is_some_and(|user| user == 0 || user == asker);
        match self.name.as_str() {
            OURS | MANAGER if !self.is_by_its_own_name() => Who::Other,
            OURS | MANAGER if !is_believed => Who::Namesake,
            OURS => Who::Ours,
            MANAGER => Who::Manager,
            _ => Who::Other,
        }
    }

    /// Whose it is, in words.
    pub(super) fn user(&self) -> String {
        match self.user {
            Some(user) => format!("of user {user}"),
            None => "of whichever user".to_owned(),
        }
    }

    /// Whether its program has the name that it goes by, as far as that is told.
    fn is_by_its_own_name(&self) -> bool {
        let Some(program) = &self.program else {
            return true;
        };
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        // A newer one has taken its place.
        file.strip_suffix(" (deleted)").unwrap_or(&file) == self.name
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(&self.name, 15))?;
        // What else goes by another name than its program's is a script, or has a long one.
        if matches!(self.name.as_str(), OURS | MANAGER)
            && !self.is_by_its_own_name()
            && let Some(program) = &self.program
        {
            write!(f, ", which is {}", short(&program.to_string_lossy(), 80))?;
        }
        write!(f, " (process {})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::user;

    const ASKER: u32 = 1000;

    fn process(name: &str, user: u32, program: Option<&str>) -> Process {
        Process {
            id: 512,
            name: name.to_owned(),
            user: Some(user),
            program: program.map(PathBuf::from),
            is_unit: false,
        }
    }

    #[test]
    fn a_name_alone_makes_nobody_one_of_ours() {
        for (name, user, program, who) in [
            ("loopkdc", 0, Some("/usr/bin/loopkdc"), Who::Ours),
            ("loopkdc", 0, Some("/usr/bin/loopkdc (deleted)"), Who::Ours),
            ("loopkdc", ASKER, None, Who::Ours),
            ("loopkdc", 1001, Some("/usr/bin/loopkdc"), Who::Namesake),
            ("loopkdc", 1001, None, Who::Namesake),
            ("loopkdc", ASKER, Some("/usr/bin/python3"), Who::Other),
            ("systemd", 0, Some("/usr/lib/systemd/systemd"), Who::Manager),
            ("systemd", 1001, None, Who::Namesake),
            ("systemd", 0, Some("/tmp/x"), Who::Other),
            ("krb5kdc", 0, Some("/usr/sbin/krb5kdc"), Who::Other),
        ] {
            assert_eq!(
                process(name, user, program).who(ASKER),
                who,
                "{name} {user} {program:?}"
            );
        }
        let of_nobody = Process {
            user: None,
            ..process("loopkdc", 0, None)
        };
        assert_eq!(of_nobody.who(ASKER), Who::Namesake);
    }

    #[test]
    fn whom_the_service_manager_started_is_believed_whatever_their_user() {
        let dynamic = process("loopkdc", 61_234, None);
        assert_eq!(dynamic.who(ASKER), Who::Namesake);
        let unit = Process {
            is_unit: true,
            ..dynamic
        };
        assert_eq!(unit.who(ASKER), Who::Ours);
    }

    #[test]
    fn it_is_told_by_what_it_is() {
        let text = process("loop\x1b[kdc", 1, None).to_string();
        assert_eq!(text, "loop\u{fffd}[kdc (process 512)");
        let text = process("loopkdc", 1, Some("/opt/other")).to_string();
        assert_eq!(text, "loopkdc, which is /opt/other (process 512)");
        let text = process("kdcproxy", 1, Some("/usr/bin/python3")).to_string();
        assert_eq!(text, "kdcproxy (process 512)");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn one_is_oneself() {
        let own = Process::read(Path::new("/proc"), std::process::id()).unwrap();
        assert_eq!(own.user, Some(user::id()));
        assert_eq!(own.program, std::env::current_exe().ok());
        assert!(!own.is_unit);
        assert_eq!(Process::read(Path::new("/proc"), u32::MAX), None);
    }

    /// As /proc has it of a service that runs by another user.
    #[test]
    fn a_service_is_known_by_its_group() {
        let proc = tempfile::tempdir().unwrap();
        let folder = proc.path().join("7");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("comm"), "loopkdc\n").unwrap();
        fs::write(
            folder.join("status"),
            "Name:\tloopkdc\nUid:\t1\t61234\t1\t1\n",
        )
        .unwrap();
        for (group, is_unit) in [
            ("0::/system.slice/loopkdc.service\n", true),
            (
                "12:pids:/x\n1:name=systemd:/system.slice/loopkdc.service\n",
                true,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/system.slice/loopkdc.service\n",
                false,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/loopkdc.service\n",
                false,
            ),
            ("0::/system.slice/loopkdc.service/below\n", false),
        ] {
            fs::write(folder.join("cgroup"), group).unwrap();
            let read = Process::read(proc.path(), 7).unwrap();
            assert_eq!(
                (read.user, read.is_unit),
                (Some(61_234), is_unit),
                "{group}"
            );
        }
    }
}

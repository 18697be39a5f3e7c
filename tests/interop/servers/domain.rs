//! A throw-away Active Directory domain: Samba's domain controller, which is its KDC and its password server.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::iter;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Site, run};
use crate::support::process::Process;
use crate::support::realm::Realm;
use crate::table::{Software, installed};

/// The domain's realm.
pub(crate) const REALM: &str = "AD.EXAMPLE";
/// Of `user`, of `chief`, who is one of the domain's administrators, and of `joiner`, who is in 600 groups.
pub(crate) const PASSWORD: &str = "Correct.Horse.1";
/// What smb.conf says too.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 90);
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/programs");
/// What makes the domain: when one of these changes it is made anew.
const MAKING: [&str; 3] = [
    include_str!("../programs/make_domain.sh"),
    include_str!("../programs/populate_domain.py"),
    include_str!("../programs/smb.conf"),
];

/// A running domain controller.
pub(crate) struct Controller {
    _samba: Process,
    configuration: PathBuf,
}

impl Controller {
    /// Starts a copy of the domain in `dir`, which is provisioned by the first test that needs it, with these services: `kdc`, and
    /// perhaps others of `server services` in smb.conf(5).
    pub(crate) fn start(dir: &Path, services: &str) -> Controller {
        let own = dir.join("domain");
        run(Command::new("cp").arg("-a").arg(provisioned()).arg(&own));
        let configuration = own.join("smb.conf");
        let text = MAKING[2].replace('@', own.to_str().unwrap());
        let text = text.replace("services = kdc", &format!("services = {services}"));
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("/usr/sbin/samba");
        command
            .args(["--foreground", "--model=single", "--debug-stdout"])
            .arg("--debuglevel=5")
            .arg("--configfile")
            .arg(&configuration);
        let samba = Process::start("samba", &mut command, "ready to serve connections");
        Controller {
            _samba: samba,
            configuration,
        }
    }

    /// Writes the keys of an account into a file, as an administrator does for a machine.
    pub(crate) fn keytab(&self, principal: &str) -> PathBuf {
        let file = self.configuration.with_file_name("keytab");
        run(self
            .tool(&["domain", "exportkeytab", "--principal", principal])
            .arg(&file));
        file
    }

    /// How many wrong passwords were tried since the last right one.
    pub(crate) fn failed_attempts(&self, user: &str) -> u32 {
        let mut show = self.tool(&["user", "show", user, "--attributes=badPwdCount"]);
        let shown = String::from_utf8(show.output().unwrap().stdout).unwrap();
        let mut lines = shown.lines();
        let count = lines.find_map(|line| line.strip_prefix("badPwdCount: "));
        count.expect(&shown).parse().unwrap()
    }

    fn tool(&self, words: &[&str]) -> Command {
        let mut command = Command::new("samba-tool");
        command
            .args(words)
            .arg("--configfile")
            .arg(&self.configuration);
        command
    }
}

/// A running domain controller, and a laptop that reaches it through the tunnel.
pub(crate) struct Domain {
    controller: Controller,
    pub(crate) site: Site,
    _dir: TempDir,
}

impl Domain {
    /// With a laptop of the domain alone.
    pub(crate) fn start() -> Domain {
        Domain::beside(&[])
    }

    /// The same, and the laptop reaches these realms too.
    pub(crate) fn beside(others: &[&Realm]) -> Domain {
        let dir = tempfile::tempdir().unwrap();
        let controller = Controller::start(dir.path(), "kdc");
        let others = others.iter().map(|realm| (realm.name, realm.address));
        let realms: Vec<_> = iter::once((REALM, ADDRESS)).chain(others).collect();
        let site = Site::open(dir.path(), &realms);
        Domain {
            controller,
            site,
            _dir: dir,
        }
    }

    /// Writes the keys of an account into a file.
    pub(crate) fn keytab(&self, principal: &str) -> PathBuf {
        self.controller.keytab(principal)
    }
}

/// Samba, as packaging/doc/interop.md names it.
pub(crate) fn software() -> Software {
    Software::debian("Samba AD DC", "samba")
}

/// A folder with a domain that was never started.
fn provisioned() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (MAKING, installed("samba")).hash(&mut hasher);
    let name = format!("domain-{:016x}", hasher.finish());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let programs = Path::new(PROGRAMS);
    run(Command::new("sh")
        .arg(programs.join("make_domain.sh"))
        .arg(&folder)
        .arg(programs.join("smb.conf"))
        .arg(format!("--realm={REALM}"))
        .args(["--domain=AD", "--host-name=dc"])
        .arg(format!("--host-ip={ADDRESS}"))
        .arg(format!("--adminpass={PASSWORD}")));
    folder
}

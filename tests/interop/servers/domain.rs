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

/// A running domain controller, and a laptop that reaches it through the tunnel.
pub(crate) struct Domain {
    _samba: Process,
    pub(crate) site: Site,
    configuration: PathBuf,
    dir: TempDir,
}

impl Domain {
    /// Starts a copy of the domain, which is provisioned by the first test that needs it.
    pub(crate) fn start() -> Domain {
        Domain::beside(&[])
    }

    /// The same, and the laptop reaches these realms too.
    pub(crate) fn beside(others: &[&Realm]) -> Domain {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("domain");
        run(Command::new("cp").arg("-a").arg(provisioned()).arg(&own));
        let configuration = own.join("smb.conf");
        let text = MAKING[2].replace('@', own.to_str().unwrap());
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new("/usr/sbin/samba");
        command
            .args(["--foreground", "--model=single", "--debug-stdout"])
            .arg("--debuglevel=5")
            .arg("--configfile")
            .arg(&configuration);
        let samba = Process::start("samba", &mut command, "ready to serve connections");
        let others = others.iter().map(|realm| (realm.name, realm.address));
        let realms: Vec<_> = iter::once((REALM, ADDRESS)).chain(others).collect();
        let site = Site::open(dir.path(), &realms);
        Domain {
            _samba: samba,
            site,
            configuration,
            dir,
        }
    }

    /// Writes the keys of an account into a file, as an administrator does for a machine.
    pub(crate) fn keytab(&self, principal: &str) -> PathBuf {
        let file = self.dir.path().join("keytab");
        run(Command::new("samba-tool")
            .args(["domain", "exportkeytab", "--principal", principal])
            .arg("--configfile")
            .arg(&self.configuration)
            .arg(&file));
        file
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

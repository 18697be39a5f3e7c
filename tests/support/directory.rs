//! OpenLDAP's server, with what a test puts into it.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use super::process::{PATIENCE, Process};

/// The entry above all others.
pub(crate) const SUFFIX: &str = "dc=example";
/// Who may do everything.
pub(crate) const ADMIN: &str = "cn=admin,dc=example";
pub(crate) const ADMIN_PASSWORD: &str = "not secret";

/// A running slapd, on a socket of its own.
pub(crate) struct Directory {
    _slapd: Process,
    dir: TempDir,
}

impl Directory {
    /// Starts it, empty but for [`SUFFIX`], with this schema beside those of people and their accounts, at this address too.
    pub(crate) fn start(schema: &str, address: Option<SocketAddr>) -> Directory {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::create_dir(path.join("db")).unwrap();
        fs::write(path.join("own.schema"), schema).unwrap();
        fs::write(path.join("slapd.conf"), slapd_conf(path)).unwrap();
        let address = address.map(|address| format!(" ldap://{address}"));
        let urls = url(path) + &address.unwrap_or_default();
        let mut slapd = Command::new("/usr/sbin/slapd");
        slapd.args(["-d", "stats", "-h", &urls, "-f"]);
        let slapd = Process::start(
            "slapd",
            slapd.arg(path.join("slapd.conf")),
            "slapd starting",
        );
        // It says so before it listens.
        let start = Instant::now();
        while UnixStream::connect(path.join("socket")).is_err() {
            assert!(start.elapsed() < PATIENCE, "slapd does not listen");
            thread::yield_now();
        }
        let directory = Directory { _slapd: slapd, dir };
        let top = format!("dn: {SUFFIX}\nobjectClass: domain\ndc: example\n");
        directory.load("ldapadd", &top);
        directory
    }

    /// Starts it with the account `user` of this number, for SSSD, at this address.
    pub(crate) fn with_user(id: u32, address: SocketAddr) -> Directory {
        let directory = Directory::start("", Some(address));
        directory.load(
            "ldapadd",
            &format!(
                "dn: uid=user,{SUFFIX}\nobjectClass: account\nobjectClass: posixAccount\nuid: user\ncn: user\n\
                 uidNumber: {id}\ngidNumber: {id}\nhomeDirectory: /home/user\n\n\
                 dn: cn=user,{SUFFIX}\nobjectClass: posixGroup\ncn: user\ngidNumber: {id}\n"
            ),
        );
        directory
    }

    /// Where its socket is, as LDAP has it.
    pub(crate) fn url(&self) -> String {
        url(self.dir())
    }

    /// A folder for what belongs to it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Has a program of ldap-utils read this LDIF.
    pub(crate) fn load(&self, program: &str, ldif: &str) {
        let mut child = Command::new(program)
            .args(["-x", "-D", ADMIN, "-w", ADMIN_PASSWORD])
            .args(["-H", &self.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(ldif.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success(), "{program} of {ldif}");
    }
}

fn url(dir: &Path) -> String {
    let socket = dir.join("socket");
    format!("ldapi://{}", socket.to_str().unwrap().replace('/', "%2F"))
}

fn slapd_conf(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/nis.schema\ninclude {dir}/own.schema\npidfile {dir}/pid\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         database mdb\ndirectory {dir}/db\nsuffix \"{SUFFIX}\"\n\
         rootdn \"{ADMIN}\"\nrootpw \"{ADMIN_PASSWORD}\"\n"
    )
}

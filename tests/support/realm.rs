//! A throw-away MIT realm: a database, a KDC and the password server, on one loopback address.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::clock::Clock;
use super::process::Process;

/// The user's password at the start.
pub(crate) const PASSWORD: &str = "correct horse";
/// A service of the realm EXAMPLE.COM; `host/b.…` to `host/j.…` exist too.
pub(crate) const SERVICE: &str = "host/a.example.com@EXAMPLE.COM";

/// A realm that answers on ports 88 and 464 of its own address.
///
/// It knows `user`; `expired`, whose password has to be changed; `strict`, whose passwords have at
/// least ten characters and don't come back within three changes; and ten services.
pub(crate) struct Realm {
    /// As the KDC spells it.
    pub(crate) name: &'static str,
    /// Where its KDC and its password server listen.
    pub(crate) address: Ipv4Addr,
    dir: PathBuf,
    /// krb5kdc, whose log tells each request.
    pub(crate) kdc: Process,
    /// kadmind, whose log tells each password change.
    pub(crate) kadmind: Process,
}

/// A KDC of a realm with the database of a moment ago. It hears of no change.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    dir: PathBuf,
    pub(crate) kdc: Process,
}

/// Which preauthentication the KDC offers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Preauth {
    /// SPAKE, and the encrypted timestamp for those who can't.
    Spake,
    /// The encrypted timestamp alone.
    Timestamp,
}

/// What a realm has beside what all have.
#[derive(Clone, Copy, Default)]
pub(crate) struct More<'a> {
    /// Lines of the realm's stanza in kdc.conf.
    pub(crate) stanza: &'a str,
    /// Sections of kdc.conf.
    pub(crate) kdc: &'a str,
    /// Sections of the krb5.conf that its servers read.
    pub(crate) krb5: &'a str,
    /// kadm5.acl.
    pub(crate) acl: &'a str,
    /// Lines for kadmin.local before the servers start.
    pub(crate) admin: &'a str,
    /// The program that makes a database of another kind, and its arguments.
    pub(crate) create: &'a [&'a str],
}

impl Realm {
    /// Makes the realm in a folder of its own under `dir` and starts it on 127.0.0.`host`.
    pub(crate) fn start(dir: &Path, name: &'static str, host: u8, preauth: Preauth) -> Realm {
        Realm::with(dir, name, host, preauth, More::default())
    }

    /// The same with `more`.
    pub(crate) fn with(
        dir: &Path,
        name: &'static str,
        host: u8,
        preauth: Preauth,
        more: More,
    ) -> Realm {
        let dir = dir.join(name);
        fs::create_dir(&dir).unwrap();
        let address = Ipv4Addr::new(127, 0, 0, host);
        let kdc = kdc_conf(&dir, name, address, more);
        fs::write(dir.join("kdc.conf"), kdc).unwrap();
        let krb5 = krb5_conf(name, preauth) + more.krb5;
        fs::write(dir.join("krb5.conf"), krb5).unwrap();
        fs::write(dir.join("kadm5.acl"), more.acl).unwrap();
        populate(&dir, more);
        admin(&dir, more.admin);
        let [kdc, kadmind] = servers(&dir, name);
        Realm {
            name,
            address,
            dir,
            kdc,
            kadmind,
        }
    }

    /// A second KDC and a second password server on the same database and the same addresses, for another host.
    pub(crate) fn once_more(&self) -> [Process; 2] {
        servers(&self.dir, self.name)
    }

    /// Starts its KDC anew, with this clock.
    pub(crate) fn goes_by(&mut self, clock: &Clock) {
        self.kdc.terminate();
        let mut krb5kdc = command(&self.dir, "krb5kdc");
        self.kdc = start_kdc(self.name, krb5kdc.envs(clock.environment()));
    }

    /// A replica on 127.0.0.`host`, which hears of no change from now on.
    pub(crate) fn replica(&self, host: u8) -> Replica {
        let address = Ipv4Addr::new(127, 0, 0, host);
        let dir = self.dir.with_file_name(format!("{}-{host}", self.name));
        fs::create_dir(&dir).unwrap();
        let kdc = kdc_conf(&dir, self.name, address, More::default());
        fs::write(dir.join("kdc.conf"), kdc).unwrap();
        for file in ["krb5.conf", "stash"] {
            fs::copy(self.dir.join(file), dir.join(file)).unwrap();
        }
        let dump = dir.join("dump");
        for (dir, what) in [(&self.dir, "dump"), (&dir, "load")] {
            let mut copy = command(dir, "kdb5_util");
            let status = copy.arg(what).arg(&dump).status();
            assert!(status.unwrap().success(), "{what}");
        }
        Replica {
            address: (address, 88).into(),
            kdc: krb5kdc(&dir, self.name),
            dir,
        }
    }

    /// Lets this realm's users get tickets of `other`'s services: both know one key between them.
    pub(crate) fn is_trusted_by(&self, other: &Realm) {
        let principal = format!("krbtgt/{}@{}", other.name, self.name);
        for realm in [self, other] {
            let said = realm.admin(&format!("addprinc -pw \"between them\" {principal}\n"));
            assert!(said.contains("created"), "{said}");
        }
    }

    /// Where the KDC listens, by UDP and TCP.
    pub(crate) fn kdc_address(&self) -> SocketAddr {
        (self.address, 88).into()
    }

    /// Where the password server listens, by UDP and TCP.
    pub(crate) fn kpasswd_address(&self) -> SocketAddr {
        (self.address, 464).into()
    }

    /// What `kadmin.local` prints for these lines.
    pub(crate) fn admin(&self, script: &str) -> String {
        admin(&self.dir, script)
    }

    /// How many keys the user has had: each password change counts one up.
    pub(crate) fn key_version(&self, principal: &str) -> u32 {
        let text = self.admin(&format!("getprinc {principal}"));
        let line = text.lines().find_map(|line| line.strip_prefix("Key: vno "));
        let number = line
            .and_then(|rest| rest.split(',').next())
            .expect("a key is listed");
        number.parse().unwrap()
    }

    /// How many wrong passwords were tried since the last right one, as far as the KDC has seen.
    pub(crate) fn failed_attempts(&self, principal: &str) -> u32 {
        failed_attempts(&self.dir, principal)
    }
}

impl Replica {
    /// How many wrong passwords were tried there since the last right one.
    pub(crate) fn failed_attempts(&self, principal: &str) -> u32 {
        failed_attempts(&self.dir, principal)
    }
}

fn failed_attempts(dir: &Path, principal: &str) -> u32 {
    let text = admin(dir, &format!("getprinc {principal}"));
    let mut lines = text.lines();
    let number = lines.find_map(|line| line.strip_prefix("Failed password attempts: "));
    number.expect("they are listed").parse().unwrap()
}

fn krb5kdc(dir: &Path, name: &str) -> Process {
    start_kdc(name, &mut command(dir, "krb5kdc"))
}

fn start_kdc(name: &str, krb5kdc: &mut Command) -> Process {
    Process::start(
        &format!("krb5kdc of {name}"),
        krb5kdc.arg("-n"),
        "commencing operation",
    )
}

fn servers(dir: &Path, name: &str) -> [Process; 2] {
    let kdc = krb5kdc(dir, name);
    let kadmind = Process::start(
        &format!("kadmind of {name}"),
        command(dir, "kadmind").arg("-nofork"),
        "starting",
    );
    [kdc, kadmind]
}

fn command(dir: &Path, program: &str) -> Command {
    // Debian keeps the servers where only root's PATH leads.
    let mut command = Command::new(format!("/usr/sbin/{program}"));
    command
        .env("KRB5_CONFIG", dir.join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", dir.join("kdc.conf"))
        .env_remove("KRB5_TRACE");
    command
}

fn populate(dir: &Path, more: More) {
    let (program, arguments) = match more.create {
        [program, arguments @ ..] => (*program, arguments),
        [] => ("kdb5_util", &["create"][..]),
    };
    let create = command(dir, program)
        .args(arguments)
        .args(["-s", "-P", "master"])
        .output();
    let create = create.expect("kdb5_util (package krb5-kdc) starts");
    assert!(
        create.status.success(),
        "{}",
        String::from_utf8_lossy(&create.stderr)
    );
    let mut script = format!(
        "addpol -minlength 10 -history 3 strict\n\
         addprinc -pw \"{PASSWORD}\" user\n\
         addprinc -pw \"{PASSWORD}\" +needchange expired\n\
         addprinc -pw \"{PASSWORD}\" -policy strict strict\n"
    );
    for host in 'a'..='j' {
        script.push_str(&format!("addprinc -randkey host/{host}.example.com\n"));
    }
    admin(dir, &script);
}

fn admin(dir: &Path, script: &str) -> String {
    let mut child = command(dir, "kadmin.local")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

fn krb5_conf(name: &str, preauth: Preauth) -> String {
    // A KDC offers SPAKE only when told a group.
    let groups = match preauth {
        Preauth::Spake => "spake_preauth_groups = edwards25519",
        Preauth::Timestamp => "",
    };
    format!("[libdefaults]\n default_realm = {name}\n dns_lookup_kdc = false\n {groups}\n")
}

fn kdc_conf(dir: &Path, name: &str, address: Ipv4Addr, more: More) -> String {
    let dir = dir.display();
    let More { stanza, kdc, .. } = more;
    format!(
        "[kdcdefaults]\n kdc_listen = {address}:88\n kdc_tcp_listen = {address}:88\n\
         [logging]\n kdc = STDERR\n admin_server = STDERR\n default = STDERR\n\
         [realms]\n {name} = {{\n\
         database_name = {dir}/principal\n key_stash_file = {dir}/stash\n\
         acl_file = {dir}/kadm5.acl\n supported_enctypes = aes256-cts:normal\n\
         kadmind_listen = {address}:749\n kpasswd_listen = {address}:464\n\
         default_principal_flags = +preauth\n max_renewable_life = 7d\n{stanza}\n }}\n{kdc}\n"
    )
}

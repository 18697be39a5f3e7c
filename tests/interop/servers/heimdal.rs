//! Heimdal's KDC and its kpasswdd, which listens on UDP alone.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Site, run};
use crate::passwords::Requests;
use crate::recorded::isolated;
use crate::support::heimdal::{self, heimdal};
use crate::support::process::{PATIENCE, Process};
use crate::support::realm::PASSWORD;
use crate::table::{About, Software, comes_through};

pub(crate) const REALM: &str = "HEIMDAL.EXAMPLE";
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 91);
const NEW: &str = "a newer horse";
/// What a company's own check may say of a password; the tunnel knows no language.
const REASON: &str = "Zu kurz, höchstens für Pferde: ≥ 12 Zeichen 🐴";

/// A realm of Heimdal's that knows `user`, and `chief`, who may set anybody's password, and a laptop that reaches it through the tunnel.
struct Realm {
    servers: Servers,
    site: Site,
    dir: TempDir,
}

/// The servers of the realm.
pub(crate) struct Servers {
    kdc: Process,
    kpasswdd: Process,
}

impl Servers {
    /// Starts them, with their files in `dir`.
    pub(crate) fn start(dir: &Path) -> Servers {
        let configuration = furnish(dir);
        let start = |program: &str| {
            let mut command = server(&format!("lib/heimdal-servers/{program}"));
            command
                .arg(format!("--config-file={}", configuration.display()))
                .arg(format!("--addresses={ADDRESS}"))
                .env("KRB5_CONFIG", &configuration);
            Process::spawn(program, &mut command)
        };
        let kdc = start("kdc");
        kdc.wait_for("KDC started");
        let kpasswdd = start("kpasswdd");
        listens(464);
        Servers { kdc, kpasswdd }
    }
}

impl Realm {
    fn start() -> Realm {
        let dir = tempfile::tempdir().unwrap();
        let servers = Servers::start(dir.path());
        let site = Site::open(dir.path(), &[(REALM, ADDRESS)]);
        Realm { servers, site, dir }
    }
}

/// Writes what the servers read, and fills their database.
fn furnish(dir: &Path) -> PathBuf {
    let check = dir.join("check");
    // What it prints instead of APPROVED goes to the user; the password comes in a line of its own.
    let script = format!(
        "#!/bin/sh\ngrep -q '^new-password: .\\{{12\\}}' && echo APPROVED || echo '{REASON}'\n"
    );
    fs::write(&check, script).unwrap();
    fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).unwrap();
    let configuration = dir.join("heimdal.conf");
    let (check, own) = (check.display(), dir.display());
    let text = format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_lookupkdc = false\n\
         [kdc]\n database = {{\n dbname = {own}/heimdal\n realm = {REALM}\n mkey_file = {own}/m-key\n\
         acl_file = {own}/acl\n log_file = {own}/log\n }}\n\
         [password_quality]\n policies = builtin:external-check\n external_program = {check}\n\
         [logging]\n kdc = STDERR\n kpasswdd = STDERR\n"
    );
    fs::write(&configuration, text).unwrap();
    fs::write(dir.join("acl"), format!("chief@{REALM} all\n")).unwrap();
    let key = format!("--key-file={own}/m-key");
    run(server("sbin/kstash").args(["--random-key", &key]));
    let admin = |args: &[&str]| {
        run(server("bin/kadmin.heimdal")
            .arg("-l")
            .arg("-c")
            .arg(&configuration)
            .env("KRB5_CONFIG", &configuration)
            .args(args));
    };
    let unlimited = [
        "--realm-max-ticket-life=unlimited",
        "--realm-max-renewable-life=unlimited",
    ];
    admin(&["init", unlimited[0], unlimited[1], REALM]);
    let password = format!("--password={PASSWORD}");
    for user in ["user", "chief"] {
        admin(&["add", "--use-defaults", &password, user]);
    }
    admin(&[
        "add",
        "--use-defaults",
        "--random-key",
        "host/a.example.com",
    ]);
    configuration
}

/// One of Heimdal's programs, which tests/run unpacks.
fn server(path: &str) -> Command {
    let root = heimdal::root();
    let mut command = Command::new(root.join(path));
    command.env("LD_LIBRARY_PATH", heimdal::libraries(&root));
    command
}

/// Waits until a server takes datagrams on this port of [`ADDRESS`]: kpasswdd says nothing when it is ready.
fn listens(port: u16) {
    let until = Instant::now() + PATIENCE;
    let address = u32::from_ne_bytes(ADDRESS.octets());
    let socket = format!(" {address:08X}:{port:04X} ");
    while !fs::read_to_string("/proc/net/udp")
        .unwrap()
        .contains(&socket)
    {
        assert!(Instant::now() < until, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says what was shown of Heimdal's servers with both makers' clients.
fn shown(about: About, what: &str) {
    comes_through(about, what, &[Software::heimdal(), Software::mit()]);
}

#[test]
fn a_user_logs_in() {
    isolated(|| {
        let realm = Realm::start();
        let client = &realm.site.client;
        let kinit = |password| client.run("kinit user@HEIMDAL.EXAMPLE", &[password]);
        kinit("battery staple").fails_with("Password incorrect");
        kinit(PASSWORD).succeeds();
        client.run("kvno host/a.example.com", &[]).succeeds();
        let args = ["--password-file=STDIN", "user@HEIMDAL.EXAMPLE"];
        let kinit = |password| heimdal(client, "kinit", &args, &[password]);
        kinit("battery staple").fails_with("Password incorrect");
        kinit(PASSWORD).succeeds();
        heimdal(client, "kgetcred", &["host/a.example.com"], &[]).succeeds();
        let what = "Heimdal: login, a wrong password, a service's ticket";
        shown(About::Kdcs, what);
    });
}

/// Armored by another user's ticket. Heimdal's client says WELLKNOWN:ANONYMOUS for the realm outside the armor; the program
/// takes the realm from the armor's ticket.
#[test]
fn a_user_logs_in_under_fast() {
    isolated(|| {
        let realm = Realm::start();
        let client = &realm.site.client;
        let armor = format!("FILE:{}", realm.dir.path().join("armor").display());
        let args = [
            "-c",
            &armor,
            "--password-file=STDIN",
            "chief@HEIMDAL.EXAMPLE",
        ];
        heimdal(client, "kinit", &args, &[PASSWORD]).succeeds();
        let under = format!("--fast-armor-cache={armor}");
        let args = [&*under, "--password-file=STDIN", "user@HEIMDAL.EXAMPLE"];
        let kinit = |password| heimdal(client, "kinit", &args, &[password]);
        kinit("battery staple").fails_with("Password incorrect");
        kinit(PASSWORD).succeeds();
        realm.servers.kdc.wait_for("FAST armor protection");
        let line = format!("kinit -T {armor} user@HEIMDAL.EXAMPLE");
        let kinit = client.run(&line, &[PASSWORD]).succeeds();
        let answered = "Decoding FAST response";
        assert!(kinit.trace.contains(answered), "{}", kinit.trace);
        let what = "Heimdal: FAST armored by another ticket";
        shown(About::Kdcs, what);
    });
}

#[test]
fn a_user_changes_a_password() {
    isolated(|| {
        let realm = Realm::start();
        let client = &realm.site.client;
        let typed = ["battery staple", NEW, NEW];
        let kpasswd = client.run("kpasswd user@HEIMDAL.EXAMPLE", &typed);
        kpasswd.fails_with("Preauthentication failed");
        let typed = [PASSWORD, NEW, NEW];
        let kpasswd = client.run("kpasswd user@HEIMDAL.EXAMPLE", &typed);
        kpasswd.succeeds().says("Password changed");
        let newest = "the newest horse";
        let typed = [NEW, newest, newest];
        let kpasswd = heimdal(client, "kpasswd", &["user@HEIMDAL.EXAMPLE"], &typed);
        kpasswd.succeeds().says("Success : Password changed");
        client
            .run("kinit user@HEIMDAL.EXAMPLE", &[newest])
            .succeeds();
        assert_eq!(
            realm.servers.kpasswdd.count("Changing password for user@"),
            2
        );
        shown(
            About::Passwords,
            "Heimdal: a password change at its kpasswdd",
        );
    });
}

#[test]
fn a_policys_reason_comes_in_any_script() {
    isolated(|| {
        let realm = Realm::start();
        let client = &realm.site.client;
        let typed = [PASSWORD, "horse", "horse"];
        let kpasswd = heimdal(client, "kpasswd", &["user@HEIMDAL.EXAMPLE"], &typed);
        kpasswd.says(&format!("Soft error : {REASON}\n"));
        // kpasswdd ends its text with a NUL; MIT's kpasswd takes that for no text, also without a tunnel.
        let kpasswd = client.run("kpasswd user@HEIMDAL.EXAMPLE", &typed);
        kpasswd.fails_with("Password change rejected: Try a more complex password");
        client
            .run("kinit user@HEIMDAL.EXAMPLE", &[PASSWORD])
            .succeeds();
        let what = "Heimdal: the words of a policy, in UTF-8 as it wrote them";
        shown(About::Passwords, what);
    });
}

#[test]
fn an_administrator_sets_a_users_password() {
    isolated(|| {
        let realm = Realm::start();
        let client = &realm.site.client;
        let by = "--admin-principal=chief@HEIMDAL.EXAMPLE";
        let args = [by, "user@HEIMDAL.EXAMPLE"];
        let kpasswd = heimdal(client, "kpasswd", &args, &[PASSWORD, NEW, NEW]);
        kpasswd.succeeds().says("Success : Password changed");
        realm
            .servers
            .kpasswdd
            .wait_for("chief@HEIMDAL.EXAMPLE is changing password for user@");
        client.run("kinit user@HEIMDAL.EXAMPLE", &[NEW]).succeeds();
        let what = "Heimdal: an administrator sets a user's password (0xff80)";
        shown(About::Passwords, what);
    });
}

#[test]
fn the_result_codes() {
    isolated(|| {
        let realm = Realm::start();
        let requests = Requests::new(&realm.site.client, REALM);
        let (user, chief) = (["user", PASSWORD], ["chief", PASSWORD]);
        // With the NUL that ends each of its texts.
        let soft = requests.change("user", PASSWORD, "short");
        soft.says(&format!("version 1 code 4 text {REASON}\0\n"));
        let denied = requests.set(user, "chief", NEW);
        denied.says("version 1 code 2 text permission denied\0\n");
        let malformed = requests.ask("ff80", b"no ChangePasswdData");
        malformed.says("version 1 code 1 text malformed ChangePasswdData\0\n");
        let unknown = requests.set(chief, "nobody", NEW);
        unknown.says("version 1 code 4 text Principal does not exist\0\n");
        let success = requests.set(chief, "user", NEW);
        success.says("version 1 code 0 text Password changed\0\n");
        let what = "Heimdal: result codes 0, 1, 2 and 4, and their texts";
        shown(About::Passwords, what);
    });
}

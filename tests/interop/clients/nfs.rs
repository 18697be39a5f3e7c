//! rpc.gssd, which gets the tickets for what the kernel mounts by NFS.
//!
//! The kernel's part is played, as not every kernel that runs the tests can mount NFS: it asks by a line in a pipe.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::{self, USER_ID};
use crate::office::{Office, REALM};
use crate::recorded::isolated;
use crate::support::process::Process;
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::support::unpacked;
use crate::table::{About, Software, comes_through};

/// The group that tests/run unpacks.
const GROUP: &str = "nfs";
/// The file server, which takes connections and says nothing: its ticket is got before it is told anything.
const SERVER: &str = "127.0.0.8:2049";
const HOSTS: &str = "127.0.0.1 localhost\n127.0.0.7 a.example.com\n127.0.0.8 b.example.com\n";
/// What the kernel writes of a mount.
const MOUNT: &str = "RPC server: b.example.com\nservice: nfs (100003) version 4\naddress: 127.0.0.8\n\
    protocol: tcp\nport: 2049\n";
/// What stands for rpc_pipefs.
const PIPES: &str = "/run/rpc_pipefs";
/// Where users' tickets are looked for.
const CACHES: &str = "/run/caches";

fn office() -> Office {
    let more = More {
        admin: "addprinc -randkey nfs/b.example.com\n",
        ..More::default()
    };
    let mut office = Office::furnished(more);
    office.client.also(&format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n"
    ));
    machine::furnish(office.dir(), &office.client);
    machine::replace("/etc/hosts", HOSTS);
    office
}

/// The pipe of the only mount.
fn pipe() -> PathBuf {
    let mount = Path::new(PIPES).join("nfs/clnt0");
    fs::create_dir_all(&mount).unwrap();
    fs::write(mount.join("info"), MOUNT).unwrap();
    fs::create_dir(Path::new(PIPES).join("gssd")).unwrap();
    let pipe = mount.join("gssd");
    let mkfifo = Command::new("mkfifo").arg(&pipe).status();
    assert!(mkfifo.unwrap().success());
    pipe
}

/// On the host whose key is in the keytab.
fn gssd(keytab: &Path) -> Process {
    let mut command = Command::new("unshare");
    command
        .args([
            "--uts",
            "sh",
            "-c",
            "hostname a.example.com && exec \"$@\"",
            "sh",
        ])
        .arg(unpacked::file(GROUP, "usr/sbin/rpc.gssd"))
        .args(["-f", "-vvv", "-p", PIPES, "-d", CACHES, "-k"])
        .arg(keytab);
    Process::spawn("rpc.gssd", &mut command)
}

#[test]
fn tickets_of_the_machine_and_of_a_user() {
    isolated(|| {
        let office = office();
        let _server = TcpListener::bind(SERVER).unwrap();
        let keytab = office.keytab(&[SERVICE]);
        fs::create_dir(CACHES).unwrap();
        let cache = format!("{CACHES}/krb5cc_{USER_ID}");
        let line = format!("kinit -c {cache} user@EXAMPLE.COM");
        office.client.run(&line, &[PASSWORD]).succeeds();
        chown(&cache, Some(USER_ID), Some(USER_ID)).unwrap();
        let pipe = pipe();
        let _gssd = gssd(&keytab);
        for (user, principal) in [(0, "host/a.example.com"), (USER_ID, "user")] {
            let upcall = format!("mech=krb5 uid={user} service=* enctypes=18,17");
            let mut command = Command::new("sh");
            let write = format!("echo '{upcall}' >{}", pipe.display());
            command.args(["-c", &write]);
            // Which waits until the pipe is read.
            office.client.finish(command, &[]).succeeds();
            let issued = format!("{principal}@{REALM} for nfs/b.example.com@{REALM}");
            office.realm.kdc.wait_for(&issued);
            let log = office.realm.kdc.log();
            let line = log.lines().find(|line| line.contains(&issued));
            assert!(line.unwrap().contains("ISSUE"), "{line:?}");
        }
        let with = [Software::unpacked("nfs-common", GROUP, "nfs-common")];
        let what = "NFS: tickets of the machine and of a user for a mount, by rpc.gssd";
        comes_through(About::Clients, what, &with);
    });
}

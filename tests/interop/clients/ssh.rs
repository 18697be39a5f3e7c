//! ssh to a real sshd, with the user's tickets handed on.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::machine;
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::process::Process;
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::table::{About, Software, comes_through};

/// Where sshd listens, by the name that its service has.
const HOSTS: &str = "127.0.0.1 localhost\n127.0.0.7 a.example.com\n";
/// This machine is not called what its service is: without the check sshd takes any key in its keytab.
const SSHD_CONFIG: &str = "ListenAddress 127.0.0.7\nGSSAPIAuthentication yes\nGSSAPIStrictAcceptorCheck no\n\
    PasswordAuthentication no\nPubkeyAuthentication no\nKbdInteractiveAuthentication no\n";
const SSH: &str = "ssh -F none -o GSSAPIAuthentication=yes -o PreferredAuthentications=gssapi-with-mic \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o";

/// An office with a host to log in to; its name is in the realm, and its key in a keytab.
fn office(dir: &Path) -> (Office, Process) {
    let mut office = Office::furnished(More::default());
    let keytab = office.keytab(&[SERVICE]);
    let keytab = keytab.display();
    office.client.also(&format!(
        "[libdefaults]\n default_realm = EXAMPLE.COM\n default_keytab_name = FILE:{keytab}\n"
    ));
    machine::furnish(office.dir(), &office.client);
    machine::replace("/etc/hosts", HOSTS);
    let sshd = sshd(dir);
    (office, sshd)
}

fn sshd(dir: &Path) -> Process {
    let key = dir.join("host_key");
    let keygen = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(keygen.unwrap().success());
    let file = dir.join("sshd_config");
    let text = format!("{SSHD_CONFIG}HostKey {}\n", key.display());
    fs::write(&file, text).unwrap();
    // Where its unprivileged half is locked in.
    fs::create_dir("/run/sshd").unwrap();
    let mut command = Command::new(machine::sshd());
    command.args(["-D", "-e", "-f"]).arg(file);
    Process::start("sshd", &mut command, "Server listening")
}

/// Runs a command line on the far side, with or without the user's tickets.
fn ssh(office: &Office, delegate: bool, line: &str) -> Outcome {
    let delegate = if delegate { "yes" } else { "no" };
    let mut words = SSH.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg(format!("GSSAPIDelegateCredentials={delegate}"))
        .args(["user@a.example.com", line]);
    office.client.finish(command, &[])
}

/// The tickets that arrive on the far side are good for another service: asked from there, through the tunnel again.
#[test]
fn delegated_tickets() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let (office, _sshd) = office(dir.path());
        ssh(&office, true, "true").fails_with("Permission denied (gssapi");
        let kinit = office.client.run("kinit -f user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds();
        let there = ssh(
            &office,
            true,
            "id -un && klist -f && kvno host/b.example.com",
        );
        let there = there.succeeds().says("user\n");
        // F: forwardable, f: forwarded.
        let there = there.says("Flags: Ff").says("FILE:/tmp/krb5cc_20000");
        there.says("host/b.example.com@EXAMPLE.COM: kvno = 1");
        ssh(&office, false, "klist").fails_with("No credentials cache found");
        let with = [Software::debian("OpenSSH", "openssh-client")];
        let what = "ssh: login by GSSAPI, and tickets handed on to the far side";
        comes_through(About::Clients, what, &with);
    });
}

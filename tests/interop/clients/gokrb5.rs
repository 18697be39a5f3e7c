//! gokrb5, which Go's programs use.

use std::path::PathBuf;
use std::process::Command;

use super::{SOON, machine};
use crate::office::{Office, REALM};
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::realm::PASSWORD;
use crate::support::unpacked::root;
use crate::table::{About, Software, comes_through};

const PACKAGE: &str = "golang-github-jcmturner-gokrb5.v8-dev";
const NEW: &str = "a newer horse";

/// Compiles the program against Debian's package; after the first time Go finds all of it in its cache.
fn program() -> PathBuf {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/interop/programs/login.go"
    );
    let program = root("gokrb5");
    let status = Command::new("/usr/bin/go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(source)
        .env("GOPATH", "/usr/share/gocode")
        .env("GO111MODULE", "off")
        .env("GOCACHE", root("go"))
        .status();
    assert!(status.unwrap().success());
    program
}

#[test]
fn login_ticket_and_password_change() {
    isolated(|| {
        let program = program();
        let mut office = machine::office();
        let login = |office: &Office, password, rest: &[&str]| -> Outcome {
            let mut command = Command::new(&program);
            command.args(["user", REALM, password]).args(rest);
            office.client.finish(command, &[])
        };
        login(&office, "battery staple", &[]).fails_with("KDC_ERR_PREAUTH_FAILED");
        let ticket = login(&office, PASSWORD, &["ticket", "host/a.example.com"]);
        ticket.succeeds().says("ticket of host/a.example.com");
        let change = login(&office, PASSWORD, &["change", NEW]);
        change.succeeds().says("changed");
        assert_eq!(office.realm.key_version("user"), 2);
        office.proxy.process.terminate();
        let login = login(&office, NEW, &[]);
        login.fails_with("Networking_Error").within(SOON);
        let with = [Software::debian("gokrb5", PACKAGE)];
        let what = "Go: login, a service's ticket and a password change by gokrb5";
        comes_through(About::Clients, what, &with);
    });
}

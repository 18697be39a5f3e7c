//! Java's own implementation, as JAAS and GSS offer it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::machine;
use crate::recorded::isolated;
use crate::support::client::{Client, Outcome};
use crate::support::realm::{PASSWORD, SERVICE};
use crate::table::{About, Software, comes_through};

/// Debian's package, by its name and by the folder that it makes.
const PACKAGE: &str = "openjdk-17-jdk-headless";
const FOLDER: &str = "java-17-openjdk-";
const USER: &str = "user@EXAMPLE.COM";

/// Runs the program from its source: Java compiles it in memory.
pub(crate) fn login(client: &Client, args: &[&str]) -> Outcome {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/interop/programs/Login.java"
    );
    let mut command = Command::new(java());
    command.arg(source).args(args);
    client.finish(command, &[])
}

fn java() -> PathBuf {
    let all = fs::read_dir("/usr/lib/jvm").expect("tests/run installs it");
    let mut all = all.map(|entry| entry.unwrap());
    let folder = all.find(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER));
    folder.expect(PACKAGE).path().join("bin/java")
}

fn shown(what: &str) {
    let with = [Software::rolling("OpenJDK", PACKAGE)];
    comes_through(About::Clients, what, &with);
}

#[test]
fn login_and_a_context_with_a_service() {
    isolated(|| {
        let office = machine::office();
        let keytab = office.keytab(&[SERVICE]);
        let args = [USER, PASSWORD, SERVICE, keytab.to_str().unwrap()];
        let login = login(&office.client, &args).succeeds();
        login
            .says("ticket of krbtgt/EXAMPLE.COM@EXAMPLE.COM")
            .says("host/a.example.com@EXAMPLE.COM was called by user@EXAMPLE.COM")
            .says("ticket of host/a.example.com@EXAMPLE.COM");
        shown("Java: login by JAAS, and a context with a service by GSS");
    });
}

#[test]
fn wrong_password() {
    isolated(|| {
        let office = machine::office();
        login(&office.client, &[USER, "battery staple"])
            .fails_with("Pre-authentication information was invalid (24)");
        let user = office.realm.admin("getprinc user");
        assert!(user.contains("Failed password attempts: 1"), "{user}");
        shown("Java: a wrong password, counted once");
    });
}

/// What it says of the reset that ends its attempt (left without an answer it waits for 90 seconds).
#[test]
fn tunnel_down() {
    isolated(|| {
        let mut office = machine::office();
        office.proxy.process.terminate();
        let login = login(&office.client, &[USER, PASSWORD]);
        login
            .fails_with("login: Connection reset")
            .within(Duration::from_secs(15));
        shown("Java: with the tunnel down, an error at once");
    });
}

//! Logins by PAM: libpam-krb5, through `pamtester`.

use std::process::Command;

use super::{SOON, machine};
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::realm::PASSWORD;
use crate::table::{About, Software, comes_through};

const NEW: &str = "a newer horse";
/// The PAM service of these tests.
const SERVICE: &str = "desk";

/// An office whose laptop asks for Kerberos passwords at login.
fn office() -> Office {
    let office = machine::office();
    let module = machine::pam_krb5();
    let module = module.display();
    let lines = ["auth", "account", "password", "session"]
        .map(|kind| format!("{kind} required {module} ignore_root\n"));
    machine::pam_service(SERVICE, &lines.concat());
    office
}

/// Has PAM do `operations` for a user who types this.
fn pam(office: &Office, user: &str, operations: &[&str], typed: &[&str]) -> Outcome {
    let mut command = Command::new("pamtester");
    command.args([SERVICE, user]).args(operations);
    office.client.finish(command, typed)
}

fn shown(what: &str) {
    let with = Software::unpacked("libpam-krb5", "login", "libpam-krb5");
    comes_through(About::Clients, what, &[with]);
}

#[test]
fn login() {
    isolated(|| {
        let office = office();
        let operations = ["authenticate", "acct_mgmt", "open_session"];
        let login = pam(&office, "user", &operations, &[PASSWORD]).succeeds();
        login.says("successfully opened a session");
        shown("PAM: login with the Kerberos password");
    });
}

#[test]
fn wrong_password() {
    isolated(|| {
        let office = office();
        let login = pam(&office, "user", &["authenticate"], &["battery staple"]);
        login.fails_with("Authentication failure");
        let user = office.realm.admin("getprinc user");
        assert!(user.contains("Failed password attempts: 1"), "{user}");
        shown("PAM: a wrong password, counted once");
    });
}

#[test]
fn expired_password_with_change() {
    isolated(|| {
        let office = office();
        let typed = [PASSWORD, NEW, NEW];
        let login = pam(&office, "expired", &["authenticate"], &typed);
        login.says("Password expired").succeeds();
        assert_eq!(office.realm.key_version("expired"), 2);
        shown("PAM: login with an expired password, which it has changed");
    });
}

#[test]
fn password_change() {
    isolated(|| {
        let office = office();
        let typed = [PASSWORD, NEW, NEW];
        pam(&office, "user", &["chauthtok"], &typed).succeeds();
        assert_eq!(office.realm.key_version("user"), 2);
        shown("PAM: a password change");
    });
}

/// Programs that have another way to let a user in, such as a cached password, go on after PAM_AUTHINFO_UNAVAIL alone: after
/// PAM_AUTH_ERR the password counts as wrong.
fn is_unavailable(office: &Office) {
    let login = pam(office, "user", &["authenticate"], &[PASSWORD]);
    login
        .fails_with("Authentication service cannot retrieve authentication info")
        .within(SOON);
}

#[test]
fn tunnel_down() {
    isolated(|| {
        let mut office = office();
        office.proxy.process.terminate();
        is_unavailable(&office);
        shown("PAM: with the gateway down, the password does not count as wrong");
    });
}

#[test]
fn kdc_down() {
    isolated(|| {
        let mut office = office();
        office.realm.kdc.terminate();
        is_unavailable(&office);
        shown("PAM: with the KDC down, the password does not count as wrong");
    });
}

//! Wrong passwords and names of nobody, as users meet what is done about guessing.

use super::{Home, configuration, served};
use crate::der::dig;
use crate::messages::{PA_ENC_TIMESTAMP, PA_REQ_ENC_PA_REP, as_req_of, envelope, framed};
use crate::office::{HOST, REALM};
use crate::support::client::{Client, Outcome};
use crate::support::loopkdc::Loopkdc;
use crate::support::netns::isolated;
use crate::support::realm::{More, PASSWORD, Preauth, Realm};

const WRONG: &str = "Password incorrect";

/// A KDC that locks an account after five wrong passwords is never brought to it, and who has the right one is let in again.
#[test]
fn an_account_is_not_locked_from_one_address() {
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let more = More {
            admin: "addpol -maxfailure 5 -failurecountinterval 10m -lockoutduration 0 locking\n\
                    modprinc -policy locking user\n",
            ..More::default()
        };
        let realm = Realm::with(dir, REALM, HOST, Preauth::Timestamp, more);
        let gateway = home.start(&configuration("", &served(&realm)));
        let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
        let client = Client::by_drop_in(dir, &[REALM]);
        let log_in = |name, password| client.run(&format!("kinit {name}@{REALM}"), &[password]);
        for _ in 0..2 {
            for _ in 0..3 {
                log_in("user", "wrong").fails_with(WRONG);
            }
            log_in("user", PASSWORD).succeeds();
        }
        for _ in 0..4 {
            log_in("user", "wrong").fails_with(WRONG);
        }
        for password in [PASSWORD, "wrong", "wrong"] {
            log_in("user", password).fails_with("Cannot contact any KDC");
        }
        log_in("strict", PASSWORD).succeeds();
        assert_eq!(realm.kdc.count("PREAUTH_FAILED"), 10);
        assert_eq!(realm.kdc.count("LOCKED_OUT"), 0);
    });
}

/// What libkrb5 was told, and what it made of that.
fn told(kinit: &Outcome, name: &str) -> Vec<String> {
    let is_told = |line: &&str| {
        let words = ["preauth", "etype info", "error"];
        words.iter().any(|words| line.contains(words))
    };
    let lines = kinit.trace.lines().filter(is_told);
    let said = |line: &str| line.split_once(": ").unwrap().1.replace(name, "NAME");
    lines.map(said).collect()
}

fn hiding(realm: &Realm) -> String {
    configuration("", &(served(realm) + "hide-unknown-principals = true\n"))
}

/// What a stock client is told of somebody and of nobody, once the gateway has seen a right password.
fn told_of_both(preauth: Preauth) -> [Vec<String>; 2] {
    let home = Home::new();
    let dir = home.dir.path();
    let realm = Realm::start(dir, REALM, HOST, preauth);
    let gateway = home.start(&hiding(&realm));
    let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
    let client = Client::by_drop_in(dir, &[REALM]);
    let log_in = |name, password| client.run(&format!("kinit {name}@{REALM}"), &[password]);
    log_in("nobody", "wrong").fails_with("not found in Kerberos database");
    log_in("user", PASSWORD).succeeds();
    log_in("nemo", "wrong").fails_with(WRONG);
    let both = ["user", "else"].map(|name| told(&log_in(name, "wrong").fails_with(WRONG), name));
    // Whoever runs it sees what the KDC said.
    assert!(gateway.process.count("error=6 ") >= 5);
    both
}

/// A stock client asks for a password, as of somebody, and is told the same.
#[test]
fn a_name_of_nobody_has_a_wrong_password() {
    isolated(|| {
        let [somebody, nobody] = told_of_both(Preauth::Timestamp);
        assert_eq!(somebody, nobody);
        assert!(nobody.len() >= 4, "{nobody:?}");
    });
}

/// Whom it is asked of shows in the steps that it takes, and not to the user.
#[test]
fn a_name_of_nobody_has_a_wrong_password_where_others_prove_theirs_by_spake() {
    isolated(|| {
        let [somebody, nobody] = told_of_both(Preauth::Spake);
        assert_eq!(somebody[..2], nobody[..2]);
    });
}

/// Nor by the octets, nor by how often a password may be tried; and to ask costs nothing, whoever it is about.
#[test]
fn what_is_said_of_nobody_differs_in_nothing_from_what_is_said_of_somebody() {
    isolated(|| {
        let home = Home::new();
        let realm = Realm::start(home.dir.path(), REALM, HOST, Preauth::Timestamp);
        let gateway = home.start(&hiding(&realm));
        let ask = |name: &str, padata: &[i32]| {
            let request = as_req_of(&[name], &["krbtgt", REALM], REALM, padata).bytes;
            let body = envelope(&framed(&request), Some(REALM));
            let site = home.site(&gateway.ca_file);
            let response = site.ask("POST /KdcProxy HTTP/1.1\r\n", &body).unwrap();
            let message = dig(&response.body, &[0x30, 0xa0, 0x04]).map(|framed| &framed[4..]);
            let field = |number: u8| dig(message?, &[0x7e, 0x30, 0xa0 | number]);
            // The time, and microseconds.
            let said = (0..=12).filter(|number| ![4, 5].contains(number));
            let said = said.map(|number| {
                let octets = field(number).unwrap_or_default();
                String::from_utf8_lossy(octets).replace(name, "NOBODY")
            });
            (response.status, said.collect::<Vec<_>>())
        };
        let (plain, guess) = ([PA_REQ_ENC_PA_REP], [PA_REQ_ENC_PA_REP, PA_ENC_TIMESTAMP]);
        for padata in [&plain[..], &guess] {
            let somebody = ask("strict", padata);
            assert_eq!(somebody.0, 200);
            assert_eq!(ask("nobody", padata), somebody);
        }
        for number in 0..30 {
            assert_eq!(ask(&format!("nobody{number}"), &plain).0, 200);
        }
        let tries = |name| [0; 4].map(|_| ask(name, &guess).0);
        assert_eq!(tries("strict"), [200, 200, 200, 429]);
        assert_eq!(tries("nobody"), [200, 200, 200, 429]);
    });
}

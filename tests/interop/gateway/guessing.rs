//! Wrong passwords and names of nobody, as users meet what is done about guessing.

use super::{Home, configuration, served};
use crate::office::{HOST, REALM};
use crate::support::client::Client;
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

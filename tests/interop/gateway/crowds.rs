//! Many who log in at once behind one address.

use std::thread;

use super::{Home, configuration, served};
use crate::office::{HOST, REALM};
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::netns::isolated;
use crate::support::realm::{PASSWORD, Preauth, Realm};

const AT_ONCE: usize = 80;

/// An office on Monday morning, a terminal server, a CI host: by both of MIT's ways, with both ends at their defaults.
#[test]
fn a_crowd_with_the_right_password_loses_nobody() {
    // What KDCs say of a crowd is nothing new for the records.
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let realm = Realm::start(dir, REALM, HOST, Preauth::Timestamp);
        let gateway = home.start(&configuration("", &served(&realm)));
        let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
        std::fs::create_dir(home.path("native")).unwrap();
        for client in [
            Client::by_drop_in(dir, &[REALM]),
            Client::by_native_kkdcp(&home.path("native"), &[REALM], &gateway),
        ] {
            thread::scope(|scope| {
                for number in 0..AT_ONCE {
                    let cache = home.path("native").join(number.to_string());
                    let line = format!("kinit -c {} user@{REALM}", cache.display());
                    let client = &client;
                    scope.spawn(move || client.run(&line, &[PASSWORD]).succeeds());
                }
            });
        }
        assert_eq!(gateway.process.count("status=429"), 0);
    });
}

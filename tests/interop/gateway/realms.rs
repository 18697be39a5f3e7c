//! What a realm is served with, and by which of its KDCs.

use std::fs;
use std::time::Duration;

use super::{Home, configuration};
use crate::office::{HOST, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::realm::{PASSWORD, Preauth, Realm};

/// Passwords are changed inside only: the user reads that it is forbidden, not that something is broken.
#[test]
fn a_service_that_is_not_offered_is_said_to_be_forbidden() {
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let realm = Realm::start(dir, REALM, HOST, Preauth::Spake);
        let kdc = realm.kdc_address();
        let only = format!("[realms.\"{REALM}\"]\nkdcs = [\"{kdc}\"]\nservices = [\"kdc\"]\n");
        let gateway = home.start(&configuration("", &only));
        let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
        let client = Client::by_drop_in(dir, &[REALM]);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        let new = "a newer horse";
        let kpasswd = client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new]);
        kpasswd
            .fails_with("KDC proxy for realm EXAMPLE.COM: it forbids this")
            .within(Duration::from_secs(2));
        assert_eq!(realm.key_version("user"), 1);
    });
}

/// Who wants the KDC that takes writes gets it ([MS-NRPC] 3.5.4.3.1), and moves nobody else there.
#[test]
fn a_hint_leads_to_the_primary() {
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        fs::create_dir(home.path("other")).unwrap();
        let replica = Realm::start(dir, REALM, 88, Preauth::Timestamp);
        let primary = Realm::start(&home.path("other"), REALM, 89, Preauth::Timestamp);
        let both = format!(
            "[realms.\"{REALM}\"]\nkdcs = [\"{}\", {{ address = \"{}\", primary = true }}]\n",
            replica.kdc_address(),
            primary.kdc_address()
        );
        let gateway = home.start(&configuration("", &both));
        let client = Client::by_drop_in(dir, &[REALM]);
        let kinit = |hint: &str| {
            let config = stanza(REALM, &gateway.url(), &gateway) + hint;
            let _loopkdc = Loopkdc::with_config(dir, &config);
            client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        };
        // The requests that each has had: two make a login.
        let have = |at_replica, at_primary| {
            replica.kdc.wait_for_count(" AS_REQ ", at_replica);
            primary.kdc.wait_for_count(" AS_REQ ", at_primary);
            let counts = (replica.kdc.count(" AS_REQ "), primary.kdc.count(" AS_REQ "));
            assert_eq!(counts, (at_replica, at_primary));
        };
        kinit("");
        have(2, 0);
        kinit("dclocator-hint = 0x80\n");
        have(2, 2);
        kinit("dclocator-hint = [\"writable\"]\n");
        have(2, 4);
        kinit("dclocator-hint = 0x40000000\n");
        have(4, 4);
        // The highest bit is the sign (0x80001000).
        kinit("dclocator-hint = -2147479552\n");
        have(4, 6);
        kinit("");
        have(6, 6);
    });
}

//! Heimdal's clients, which rebuild their copies where MIT's repeat the same bytes.

use std::time::Duration;

use tempfile::TempDir;

use crate::office::{HOST, Office, PORT, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::heimdal::heimdal;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{More, PASSWORD, Preauth, Realm, SERVICE};
use crate::support::relay::Relay;
use crate::table::{About, Software, comes_through};

const NEW: &str = "a newer horse";

#[test]
fn kinit_and_kpasswd() {
    isolated(|| {
        let mut office = Office::furnished(More::default());
        // Its kpasswd asks for it even when the principal is given in full.
        office.client.default_realm(REALM);
        let kinit = |password| {
            let args = ["--password-file=STDIN", "user@EXAMPLE.COM"];
            heimdal(&office.client, "kinit", &args, &[password])
        };
        kinit("battery staple").fails_with("Password incorrect");
        kinit(PASSWORD).succeeds();
        let typed = [PASSWORD, NEW, NEW];
        let kpasswd = heimdal(&office.client, "kpasswd", &["user@EXAMPLE.COM"], &typed);
        kpasswd.says("Success").succeeds();
        assert_eq!(office.realm.key_version("user"), 2);
        kinit(NEW).succeeds();
        let what = "Heimdal: `kinit` and `kpasswd`, and a wrong password";
        comes_through(About::Clients, what, &[Software::heimdal()]);
    });
}

#[test]
fn service_ticket() {
    isolated(|| {
        let mut office = Office::furnished(More::default());
        office.client.default_realm(REALM);
        let args = ["--password-file=STDIN", "user@EXAMPLE.COM"];
        heimdal(&office.client, "kinit", &args, &[PASSWORD]).succeeds();
        let kgetcred = |service: &str| heimdal(&office.client, "kgetcred", &[service], &[]);
        kgetcred(SERVICE).succeeds();
        office.client.run("klist", &[]).says(SERVICE);
        let unknown = kgetcred("host/nowhere@EXAMPLE.COM");
        // The KDC's e-text.
        unknown.fails_with("LOOKING_UP_SERVER");
        let what = "Heimdal: `kgetcred`";
        comes_through(About::Clients, what, &[Software::heimdal()]);
    });
}

/// It asks as RFC 3244 has it (version 0xff80), and after any refusal as those before had it (version 1).
#[test]
fn both_versions_of_kpasswd() {
    isolated(|| {
        let mut office = Office::furnished(More::default());
        office.client.default_realm(REALM);
        let typed = [PASSWORD, "short", "short"];
        let kpasswd = heimdal(&office.client, "kpasswd", &["strict@EXAMPLE.COM"], &typed);
        kpasswd.says("New password is too short");
        for request in ["setpw request from", "chpw request from"] {
            office.realm.kadmind.wait_for(request);
        }
        assert_eq!(office.realm.kadmind.count("pw request from"), 2);
        assert_eq!(office.realm.key_version("strict"), 1);
        let what = "Heimdal: a refused password, asked for in both versions of the protocol";
        comes_through(About::Passwords, what, &[Software::heimdal()]);
    });
}

/// What kpasswd needs when its answer takes six seconds on the way back from the KDC.
struct SlowOffice {
    realm: Realm,
    client: Client,
    loopkdc: Loopkdc,
    _proxy: KdcProxy,
    _dir: TempDir,
}

impl SlowOffice {
    fn open() -> SlowOffice {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, HOST, Preauth::Spake);
        let slow = Relay::start(realm.kpasswd_address(), Duration::from_secs(6));
        let route = Route {
            kpasswd: slow.address,
            ..Route::to(&realm)
        };
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), PORT, &[route]);
        let loopkdc = Loopkdc::start(dir.path(), &[(REALM, &proxy)]);
        let mut client = Client::by_drop_in(dir.path(), &[REALM]);
        client.default_realm(REALM);
        SlowOffice {
            realm,
            client,
            loopkdc,
            _proxy: proxy,
            _dir: dir,
        }
    }
}

/// Heimdal sends again after 2 and 5 seconds, each time other bytes: the KDC must see one change,
/// and its answer must reach the user.
fn one_change(principal: &str, policy: &str) {
    let office = SlowOffice::open();
    let name = format!("{principal}@{REALM}");
    let kpasswd = heimdal(&office.client, "kpasswd", &[&name], &[PASSWORD, NEW, NEW]);
    let log = office.loopkdc.process.log();
    assert!(
        kpasswd.took > Duration::from_secs(6),
        "{:?}\n{log}",
        kpasswd.took
    );
    kpasswd.says("Success").succeeds();
    assert_eq!(office.realm.key_version(principal), 2);
    assert_eq!(office.realm.kadmind.count("pw request from"), 1);
    let what = "Heimdal: a change that takes 6 s and is sent three times happens once";
    let what = format!("{what}, by a user {policy}");
    comes_through(About::Passwords, &what, &[Software::heimdal()]);
}

#[test]
fn slow_change_happens_once() {
    isolated(|| one_change("user", "without a policy"));
}

#[test]
fn slow_change_happens_once_under_a_history_policy() {
    isolated(|| one_change("strict", "whose old passwords are remembered"));
}

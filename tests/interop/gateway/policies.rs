//! What a realm's policy keeps from its KDC, as users meet it.

use super::{Home, configuration, served};
use crate::exchanges::pkinit::{ANONYMOUS, Certificates};
use crate::office::{HOST, REALM};
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::netns::isolated;
use crate::support::realm::{More, PASSWORD, Preauth, Realm, SERVICE};

const REFUSED: &str = "KDC policy rejects request";

/// By both of MIT's ways: through `loopkdc run`, and by its own.
#[test]
fn who_is_denied_and_what_is_not_allowed_is_told_at_once() {
    // What the gateway answers is no KDC's: nothing for the records of what KDCs said.
    isolated(|| {
        let home = Home::new();
        let dir = home.dir.path();
        let realm = Realm::start(dir, REALM, HOST, Preauth::Spake);
        let policy = "deny-principals = [\"STRICT\", \"*/admin\"]\n\
                      allow-services = [\"krbtgt/EXAMPLE.COM\", \"host/a.*\"]\n";
        let gateway = home.start(&configuration("", &(served(&realm) + policy)));
        let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
        std::fs::create_dir(home.path("native")).unwrap();
        for client in [
            Client::by_drop_in(dir, &[REALM]),
            Client::by_native_kkdcp(&home.path("native"), &[REALM], &gateway),
        ] {
            for denied in ["strict@EXAMPLE.COM", "x/admin@EXAMPLE.COM"] {
                let kinit = client.run(&format!("kinit {denied}"), &[]);
                kinit.fails_with(REFUSED);
            }
            let kinit = client.run("kinit -E strict@EXAMPLE.COM@EXAMPLE.COM", &[]);
            kinit.fails_with(REFUSED);
            client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
            client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
            let kvno = client.run("kvno host/b.example.com@EXAMPLE.COM", &[]);
            kvno.fails_with(REFUSED);
        }
        // A KDC's log comes in order: what it says of the last request comes after all.
        realm.kdc.wait_for_count("TGS_REQ", 2);
        assert_eq!(realm.kdc.count("strict@"), 0);
        assert_eq!(realm.kdc.count("host/b."), 0);
    });
}

/// A timestamp outside of FAST is refused, and armor that is made with nobody's ticket serves all.
#[test]
fn preauthentication_comes_in_armor() {
    isolated(|| {
        let (home, certificates) = (Home::new(), Certificates::issue());
        let dir = home.dir.path();
        let more = More {
            stanza: &certificates.stanza(),
            admin: ANONYMOUS,
            ..More::default()
        };
        let realm = Realm::with(dir, REALM, HOST, Preauth::Timestamp, more);
        let armored = served(&realm) + "preauth = \"armored\"\n";
        let gateway = home.start(&configuration("", &armored));
        let _loopkdc = Loopkdc::start(dir, &[(REALM, &gateway)]);
        let client = Client::by_drop_in(dir, &[REALM]);
        let bare = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        bare.fails_with(REFUSED);
        assert_eq!(realm.kdc.count("PREAUTH_FAILED"), 0);
        let armor = home.path("armor");
        let (armor, anchors) = (armor.display(), certificates.anchors());
        let nobody = format!("kinit -c {armor} -n {anchors} @EXAMPLE.COM");
        client.run(&nobody, &[]).succeeds();
        let line = format!("kinit -T {armor} user@EXAMPLE.COM");
        client.run(&line, &[PASSWORD]).succeeds();
        let timestamp = served(&realm) + "preauth = \"no-timestamp\"\n";
        home.configure(&configuration("", &timestamp));
        gateway.process.signal("HUP");
        gateway.process.wait_for("configuration read again");
        let bare = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        bare.fails_with(REFUSED);
        client.run(&line, &[PASSWORD]).succeeds();
    });
}

//! `on-failure = "explain"`: who shows the text. packaging/doc/help-desk.md says what is seen here.

use tempfile::TempDir;

use crate::clients::{java, machine};
use crate::office::{HOST, PORT, REALM};
use crate::support::client::Client;
use crate::support::heimdal::heimdal;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::netns::isolated;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};

const DOCUMENT: &str = include_str!("../../packaging/doc/help-desk.md");
const TEXT: &str = "loopkdc: no KDC proxy for realm EXAMPLE.COM can be reached";

/// A laptop that explains, and has lost its proxy after `before`.
fn laptop(before: impl FnOnce(&Client)) -> (Client, Loopkdc, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let realm = Realm::start(dir.path(), REALM, HOST, Preauth::Timestamp);
    let mut proxy = KdcProxy::of(Maker::Ours, dir.path(), PORT, &[Route::to(&realm)]);
    let text = stanza(REALM, &proxy.url(), &proxy) + "on-failure = \"explain\"\n";
    let loopkdc = Loopkdc::with_config(dir.path(), &text);
    let mut client = Client::by_drop_in(dir.path(), &[REALM]);
    client.default_realm(REALM);
    before(&client);
    proxy.process.terminate();
    (client, loopkdc, dir)
}

fn is_told_of(client: &str, shows: &str) {
    let row = format!("| {client} | {shows} |\n");
    assert!(DOCUMENT.contains(&row), "{row}");
}

#[test]
fn mit_shows_it_for_a_ticket_of_a_service_alone() {
    isolated(|| {
        let (client, ..) = &laptop(|client| {
            client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        });
        client.run(&format!("kvno {SERVICE}"), &[]).fails_with(TEXT);
        let words = "The KDC did not respond to the IAKERB proxy";
        let kinit = client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        assert!(!kinit.text.contains("loopkdc"), "{}", kinit.text);
        kinit.fails_with(words);
        is_told_of("MIT krb5 1.20.1", &format!("\"{words}\" | the text"));
    });
}

#[test]
fn heimdal_shows_it() {
    isolated(|| {
        let kinit = |client: &Client| {
            let args = ["--password-file=STDIN", "user@EXAMPLE.COM"];
            heimdal(client, "kinit", &args, &[PASSWORD])
        };
        let (client, ..) = &laptop(|client| {
            kinit(client).succeeds();
        });
        heimdal(client, "kgetcred", &[SERVICE], &[]).fails_with(TEXT);
        kinit(client).fails_with(TEXT);
        is_told_of("Heimdal 7.8", "the text | the text");
    });
}

#[test]
fn java_shows_it() {
    isolated(|| {
        let (client, _loopkdc, dir) = &laptop(|_| {});
        machine::furnish(dir.path(), client);
        java::login(client, &["user@EXAMPLE.COM", PASSWORD]).fails_with(TEXT);
        is_told_of("OpenJDK 17", "the text | not tried");
    });
}

//! Captive portals: whatever answers in the KDC proxy's place is told as such, is followed nowhere, and costs nothing once it
//! lets others through.

use crate::certificates::Leaf;
use crate::daemon::Daemon;
use crate::messages::{Kind, REALM, said, told};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Http, Page, Plan};

const LOGIN: &str = "open any page in a browser: the network may want a login";

fn pages() -> Vec<(Page, &'static str)> {
    let redirect = |status| Page::html(status).with("location", "http://10.0.0.1/login");
    vec![
        (redirect(302), "captive portal: a redirect"),
        (redirect(307), "captive portal: a redirect"),
        (redirect(308), "captive portal: a redirect"),
        (Page::html(200), "captive portal: a web page"),
        (Page::html(511), "captive portal: HTTP 511"),
        (
            Page::html(503),
            "a web page came instead of an answer (HTTP 503), perhaps a captive portal's",
        ),
    ]
}

/// A portal until the first login, which the second request over a connection is taken for.
#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_told_as_one_and_is_over_as_soon_as_it_lets_others_through() {
    for (page, logged) in pages() {
        for http in Http::BOTH {
            let portal = page.clone();
            let upstream = Plan::new(move |post| match post.number {
                1 | 2 => Act::Respond(portal.clone()),
                _ => post.granted(),
            });
            let upstream = upstream.speaking(http).start();
            let relay = Daemon::start(Setup::by(&[&upstream]).defaults("on-failure = \"explain\""));
            let request = Kind::Tgs.request(REALM);
            let said = said(&relay.ask(Transport::Udp, &request).await.message());
            assert!(said.words.ends_with(LOGIN), "{said:?}");
            let request = Kind::Change.request(REALM);
            let told = told(&relay.ask(Transport::Udp, &request).await.message());
            assert!(told.words.contains(LOGIN), "{told:?}");
            for kind in Kind::ALL {
                let answer = relay
                    .ask(Transport::Udp, &kind.request(REALM))
                    .await
                    .message();
                assert_ne!(answer[0], 0x7e, "{kind:?}");
            }
            assert_eq!(upstream.posts(), 6);
            let (_, log) = relay.terminate();
            let count = |words: &str| {
                log.lines()
                    .filter(|line| line.contains("INFO") && line.contains(words))
                    .count()
            };
            assert_eq!(count(logged), 1, "{log}");
            assert_eq!(count("proxy up again"), 1, "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portals_own_certificate_is_told_as_one_and_nothing_is_sent() {
    for (leaf, why) in [
        (Leaf::Untrusted, "signed by an unknown authority"),
        (Leaf::WrongName, "made out to another name"),
        (Leaf::Expired, "expired, or the clock here is wrong"),
    ] {
        let upstream = Plan::granting().showing(leaf).start();
        let relay = Daemon::start(Setup::by(&[&upstream]).defaults("on-failure = \"explain\""));
        let request = Kind::Preauth.request(REALM);
        let said = said(&relay.ask(Transport::Tcp, &request).await.message());
        assert!(
            said.words.contains("not trusted") && said.words.ends_with(LOGIN),
            "{said:?}"
        );
        let request = Kind::Change.request(REALM);
        let told = told(&relay.ask(Transport::Tcp, &request).await.message());
        assert!(told.words.contains(LOGIN), "{told:?}");
        assert!(
            told.words.contains("Your password was not changed"),
            "{told:?}"
        );
        assert_eq!(upstream.posts(), 0);
        let (_, log) = relay.terminate();
        let line = format!("certificate not trusted, perhaps a captive portal's: {why}");
        assert!(log.contains(&line), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_portal_leads_anywhere_else() {
    let elsewhere = Plan::granting().start();
    for status in [301, 302, 303, 307, 308] {
        let page = Page::html(status).with("location", elsewhere.url());
        let upstream = Plan::always(Act::Respond(page)).start();
        let relay = Setup::by(&[&upstream]).start();
        for kind in Kind::ALL {
            relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        }
    }
    assert_eq!(elsewhere.seen().connections, 0);
}

//! Which realm goes where, and under which name: read off the POSTs.

use crate::der::dig;
use crate::messages::{Kind, REALM};
use crate::relay::{Reached, Running, Setup, Transport};
use crate::upstream::{Plan, Upstream};

/// Asks for `realm` by each kind of request, and says under which name it was sent.
async fn sent_as(relay: &Running, upstream: &Upstream, realm: &str) -> String {
    let mut names = Vec::new();
    for kind in Kind::ALL {
        let before = upstream.posts();
        let request = kind.request(realm);
        relay.ask(Transport::Udp, &request).await;
        let posts = upstream.seen().posts;
        assert_eq!(posts.len(), before + 1, "{realm} by {kind:?}");
        assert_eq!(posts[before].message(), request.bytes, "{kind:?}");
        names.push(posts[before].target_domain().expect("a target-domain"));
    }
    names.dedup();
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_is_matched_without_case_and_sent_as_configured() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    for spelled in [REALM, "example.com", "Example.Com"] {
        assert_eq!(sent_as(&relay, &upstream, spelled).await, REALM);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_sent_as_the_realm_s_own_name() {
    let upstream = Plan::granting().start();
    let relay = Setup::new()
        .realm(
            REALM,
            &[&upstream],
            "aliases = [\"CORP\", \"legacy.example\"]",
        )
        .start();
    for spelled in ["CORP", "corp", "LEGACY.EXAMPLE"] {
        assert_eq!(sent_as(&relay, &upstream, spelled).await, REALM);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_wildcard_the_client_s_spelling_is_sent() {
    let upstream = Plan::granting().start();
    let relay = Setup::new()
        .realm("*.EXAMPLE.COM", &[&upstream], "")
        .start();
    for spelled in ["A.EXAMPLE.COM", "a.Example.com", "deep.b.example.com"] {
        assert_eq!(sent_as(&relay, &upstream, spelled).await, spelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_domain_overrides_the_name() {
    let upstream = Plan::granting().start();
    let relay = Setup::new()
        .realm(
            REALM,
            &[&upstream],
            "target-domain = \"inner.Example\"\ndclocator-hint = [\"pdc\"]",
        )
        .realm("*", &[&upstream], "target-domain = \"any.Example\"")
        .start();
    assert_eq!(
        sent_as(&relay, &upstream, "example.com").await,
        "inner.Example"
    );
    assert_eq!(sent_as(&relay, &upstream, "OTHER").await, "any.Example");
    let hint =
        |post: &crate::upstream::Post| dig(&post.body, &[0x30, 0xa2, 0x02]).map(<[u8]>::to_vec);
    let posts = upstream.seen().posts;
    assert_eq!(hint(&posts[0]), Some(vec![0, 0x80]));
    assert_eq!(hint(posts.last().unwrap()), None);
}

/// Sends one request of each kind but the AS-REQ with a password, and says how many reached each proxy.
async fn reached(relay: &Running, upstreams: &[&Upstream]) -> Vec<usize> {
    let before: Vec<_> = upstreams.iter().map(|upstream| upstream.posts()).collect();
    for kind in [Kind::Plain, Kind::Tgs, Kind::Change] {
        relay.ask(Transport::Tcp, &kind.request(REALM)).await;
    }
    let posts = upstreams.iter().zip(before);
    posts
        .map(|(upstream, before)| upstream.posts() - before)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn password_changes_go_to_the_primary_or_to_proxies_of_their_own() {
    let [first, second, third] = [0; 3].map(|_| Plan::granting().start());
    let all = [&first, &second, &third];
    let start = |lines: &str| Setup::new().realm(REALM, &[&first], lines).start();
    let primary = format!("primary-proxies = [\"{}\"]", second.url());
    let relay = start(&primary);
    assert_eq!(reached(&relay, &all).await, [2, 1, 0]);
    let own = format!("{primary}\nkpasswd-proxies = [\"{}\"]", third.url());
    let relay = start(&own);
    assert_eq!(reached(&relay, &all).await, [2, 0, 1]);
    // Where no other proxy can be reached, the one of the primary serves everything.
    let down = Plan::granting().start_down();
    let relay = Setup::new().realm(REALM, &[&down], &primary).start();
    assert_eq!(reached(&relay, &all).await, [0, 3, 0]);
    let relay = Setup::new()
        .raw(&format!("[realms.\"{REALM}\"]\n{primary}\n"))
        .start();
    assert_eq!(reached(&relay, &all).await, [0, 3, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_match_wins() {
    let [exact, near, far, any] = [0; 4].map(|_| Plan::granting().start());
    let relay = Setup::new()
        .realm("*", &[&any], "")
        .realm("*.EXAMPLE.COM", &[&far], "")
        .realm("*.SUB.EXAMPLE.COM", &[&near], "")
        .realm("A.SUB.EXAMPLE.COM", &[&exact], "")
        .start();
    for (realm, upstream) in [
        ("a.sub.example.com", &exact),
        ("B.SUB.EXAMPLE.COM", &near),
        ("C.B.SUB.EXAMPLE.COM", &near),
        ("SUB.EXAMPLE.COM", &far),
        ("EXAMPLE.COM", &any),
        ("NOTEXAMPLE.COM", &any),
    ] {
        sent_as(&relay, upstream, realm).await;
    }
}

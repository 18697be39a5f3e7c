//! Changes of passwords of which nobody knows what became.

use crate::clients::{Http, post};
use crate::gateway::{Gateway, realm};
use crate::granting;
use crate::messages::{Kind, REALM, changed, envelope, framed};
use crate::scripted::{Act, Script};

/// krb5 PR 856: a proxy asked a second server when the first was slow, or the first one twice, and the user was told that
/// the change had failed, though it had been done.
///
/// Here a change goes to one server, once (`route::after`); what became of it is told as not known, and to a copy too.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_be_done_is_sent_to_nobody_else_and_not_again() {
    let acts = [
        Act::Silence,
        Act::Reset,
        Act::Last(Vec::new()),
        Act::Last(framed(&changed())[..20].to_vec()),
        Act::Last(framed(b"no reply at all")),
        Act::Endless(vec![0xff; 4]),
    ];
    for act in acts {
        let shown = format!("{act:?}");
        let first = Script::default().tcp(move |_| act.clone()).start().await;
        let second = granting().start().await;
        let gateway = Gateway::start(&realm(REALM, &[first.address, second.address]));
        let change = envelope(&framed(&Kind::Change.request(REALM).bytes), Some(REALM));
        // By another client, another HTTP, and as a client that never heard the answer asks again.
        for http in Http::ALL {
            let response = post(&gateway, http, &change).await;
            assert!(
                [502, 504].contains(&response.status),
                "{shown}: {response:?}"
            );
            let said = response.text();
            assert!(
                !said.contains("not changed") && !said.contains("reached"),
                "{said}"
            );
        }
        assert_eq!(first.seen().tcp.len(), 1, "{shown}");
        assert_eq!(second.seen().asked(), (0, 0), "{shown}");
    }
}

/// The other half: a change that reached nobody goes on to the next server, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_reached_nobody_goes_to_the_next_server() {
    let (first, second) = (Script::refusing().start().await, granting().start().await);
    let gateway = Gateway::start(&realm(REALM, &[first.address, second.address]));
    let change = envelope(&framed(&Kind::Change.request(REALM).bytes), Some(REALM));
    for http in Http::ALL {
        assert_eq!(post(&gateway, http, &change).await.status, 200);
    }
    assert_eq!(second.seen().tcp.len(), 1);
}

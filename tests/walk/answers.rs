//! What counts as an answer, in all the forms that KDC proxies give it.

use crate::messages::{Kind, REALM, as_rep, envelope, framed, kpasswd_error, krb_error};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Gate, Http, Page, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_within_the_deadline_is_relayed() {
    let gate = Gate::shut();
    for http in Http::BOTH {
        let act = Act::Reply(as_rep()).after(&gate);
        let upstream = Plan::always(act).speaking(http).start();
        let relay = Setup::by(&[&upstream]).start();
        let request = Kind::Preauth.request(REALM);
        let ask = relay.ask(Transport::Tcp, &request);
        let open = async {
            upstream.until_posts(1).await;
            gate.open();
        };
        assert_eq!(tokio::join!(ask, open).0.message()[0], 0x6b);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_the_kdc_tells_in_the_clear_is_relayed() {
    for (reply, kind) in [
        (kpasswd_error(3, "no"), Kind::Change),
        (krb_error(37, None), Kind::Change),
        (krb_error(25, None), Kind::Plain),
        (krb_error(34, None), Kind::Preauth),
    ] {
        let upstream = Plan::always(Act::Reply(reply.clone())).start();
        let relay = Setup::by(&[&upstream]).start();
        for transport in Transport::BOTH {
            let answer = relay.ask(transport, &kind.request(REALM)).await;
            assert_eq!(answer.message(), reply, "{kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_may_leave_the_length_away_or_repeat_the_realm() {
    let reply = as_rep();
    for body in [
        envelope(&reply, None),
        envelope(&framed(&reply), Some(REALM)),
        envelope(&reply, Some("other.example")),
    ] {
        for http in Http::BOTH {
            let upstream = Plan::always(Act::Respond(Page::kerberos(body.clone())))
                .speaking(http)
                .start();
            let relay = Setup::by(&[&upstream]).start();
            let answer = relay.ask(Transport::Udp, &Kind::Plain.request(REALM)).await;
            assert_eq!(answer.message(), reply);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_chunked_or_end_with_its_connection() {
    let reply = as_rep();
    let body = envelope(&framed(&reply), None);
    let (first, rest) = body.split_at(10);
    let length = format!("{:x}", rest.len());
    let chunked = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\na\r\n",
        first,
        b"\r\n",
        length.as_bytes(),
        b"\r\n",
        rest,
        b"\r\n0\r\n\r\n",
    ];
    for octets in [
        chunked.concat(),
        [b"HTTP/1.0 200 OK\r\n\r\n", &body[..]].concat(),
    ] {
        let plan = Plan::always(Act::Octets(octets));
        let upstream = plan.speaking(Http::One).start();
        let relay = Setup::by(&[&upstream]).start();
        for kind in [Kind::Plain, Kind::Preauth] {
            let answer = relay.ask(Transport::Udp, &kind.request(REALM)).await;
            assert_eq!(answer.message(), reply, "{kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_1_3_will_do() {
    for tls in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let upstream = Plan::granting().over(tls).start();
        let relay = Setup::by(&[&upstream]).start();
        let answer = relay.ask(Transport::Tcp, &Kind::Plain.request(REALM)).await;
        assert_eq!(answer.message()[0], 0x6b, "{tls:?}");
    }
}

//! What counts as an answer, in all the forms that KDC proxies give it.

use crate::clients::Heard;
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

/// What comes of a login of each kind through an upstream that does this.
async fn relayed(http: Http, act: &Act) -> Vec<Vec<u8>> {
    let upstream = Plan::always(act.clone()).speaking(http).start();
    let relay = Setup::by(&[&upstream]).start();
    let mut relayed = Vec::new();
    for kind in [Kind::Plain, Kind::Preauth] {
        let answer = relay.ask(Transport::Udp, &kind.request(REALM)).await;
        relayed.push(answer.message().to_vec());
    }
    relayed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_whole_may_end_without_tls_saying_so() {
    let reply = as_rep();
    let body = envelope(&framed(&reply), None);
    for head in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ] {
        let act = Act::Cut([head.as_bytes(), &body].concat());
        assert_eq!(relayed(Http::One, &act).await, [&*reply; 2], "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_read_as_mit_krb5_reads_it() {
    let reply = as_rep();
    let body = envelope(&framed(&reply), None);
    let [0x30, length @ ..=0x70, inside @ ..] = &body[..] else {
        panic!("{body:x?}");
    };
    let longer = |more: &[u8]| {
        let length = length + more.len() as u8;
        [&[0x30, 0x84, 0, 0, 0, length], inside, more].concat()
    };
    for odd in [
        [&body[..], b"\r\n"].concat(),
        longer(b""),
        longer(b"\xa3\x03\x02\x01\x07"),
        longer(b"\xa2\x07\x02\x05\xff\xff\xff\xff\xff"),
    ] {
        for http in Http::BOTH {
            let act = Act::Respond(Page::kerberos(odd.clone()));
            assert_eq!(relayed(http, &act).await, [&*reply; 2], "{odd:x?}");
        }
    }
}

/// What a KDC has said of a password may be on its way behind any status: it goes nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_breaks_off_where_a_reply_may_be_is_none() {
    let page = Page {
        status: 400,
        ..Page::reply(&krb_error(24, None))
    };
    let act = Act::Respond(page.with("content-length", "1000"));
    let first = Plan::always(act).speaking(Http::One).start();
    let second = Plan::granting().start();
    let relay = Setup::by(&[&first, &second]).start();
    let login = Kind::Preauth.request(REALM);
    assert_eq!(relay.ask(Transport::Tcp, &login).await, Heard::Reset);
    assert_eq!((first.posts(), second.posts()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_counts_whatever_its_status() {
    let reply = krb_error(25, None);
    for status in [201, 207, 400, 401, 404, 429, 500, 503] {
        let page = Page {
            status,
            ..Page::reply(&reply)
        };
        for http in Http::BOTH {
            let told = relayed(http, &Act::Respond(page.clone())).await;
            assert_eq!(told, [&*reply; 2], "{status}");
        }
    }
}

/// An answer that nobody has asked for.
fn stale() -> Vec<u8> {
    let body = envelope(&framed(&as_rep()), None);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

/// Octets that come before a request are no answer to it, whatever they look like.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_answer_is_not_that_of_the_next_request() {
    let (reply, rounds) = (as_rep(), 3);
    let body = envelope(&framed(&reply), None);
    let page = Page::kerberos([&body[..], &stale()].concat())
        .with("content-length", body.len().to_string());
    let upstream = Plan::always(Act::Respond(page)).speaking(Http::One).start();
    let relay = Setup::by(&[&upstream]).start();
    for kind in [Kind::Plain, Kind::Preauth].repeat(rounds) {
        let answer = relay.ask(Transport::Udp, &kind.request(REALM)).await;
        assert_eq!(answer.message(), reply, "{kind:?}");
    }
    assert_eq!(upstream.seen().connections, 2 * rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_ends_with_what_nobody_has_asked_for() {
    for kind in [Kind::Plain, Kind::Preauth] {
        let gate = Gate::shut();
        let plan = {
            let gate = gate.clone();
            Plan::new(move |post| match post.number {
                1 => Act::ReplyAndMore(as_rep(), gate.clone(), stale()),
                _ => post.granted(),
            })
        };
        let upstream = plan.speaking(Http::One).start();
        let relay = Setup::by(&[&upstream]).start();
        relay.ask(Transport::Tcp, &Kind::Plain.request(REALM)).await;
        gate.open();
        upstream.until(|seen| seen.ended == 1).await;
        let answer = relay.ask(Transport::Tcp, &kind.request(REALM)).await;
        assert_eq!(answer.message()[0], kind.reply()[0], "{kind:?}");
        let asked = upstream
            .seen()
            .posts
            .iter()
            .map(|post| post.connection)
            .collect::<Vec<_>>();
        assert_eq!(asked, [1, 2], "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_have_hundreds_of_headers_and_long_ones_in_lines() {
    let reply = as_rep();
    let mut head = "HTTP/1.1 200 OK\r\nconnection: close\r\nvia: one,\r\n two\r\n".to_owned();
    for number in 0..300 {
        head.push_str(&format!("x-added-{number}: on the way\r\n"));
    }
    let body = envelope(&framed(&reply), None);
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let act = Act::Octets([head.as_bytes(), &body].concat());
    assert_eq!(relayed(Http::One, &act).await, [&*reply; 2]);
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

//! The ways in: datagrams, framing on streams, sizes, Unix sockets.

use std::os::unix::fs::PermissionsExt;

use loopkdc::wire::{MAX_REPLY, MAX_REQUEST, Service};
use tokio::net::UnixStream;

use crate::clients::{Heard, Stream};
use crate::messages::{
    Kind, PA_REQ_ENC_PA_REP, REALM, as_rep_of, framed, krb_error, said, tgs_req, told,
};
use crate::relay::{Reached, Setup, Transport};
use crate::upstream::{Act, Plan};

/// Octets that are no request, each in its own way.
fn garbage() -> Vec<Vec<u8>> {
    let request = Kind::Plain.request(REALM).bytes;
    let mut wrong_tag = request.clone();
    wrong_tag[0] = 0x6e;
    vec![
        Vec::new(),
        vec![0],
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        request[..request.len() - 1].to_vec(),
        wrong_tag,
        krb_error(60, None),
        as_rep_of(40),
        Kind::Change.request(REALM).bytes,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_a_datagram_is_not_answered() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let client = relay.udp(Service::Kdc).await;
    let garbage = garbage();
    for octets in &garbage {
        client.send(octets).await;
    }
    client.send(&Kind::Plain.request(REALM).bytes).await;
    assert_eq!(client.hear().await[0], 0x6b);
    assert!(client.is_quiet());
    assert_eq!(relay.counters().not_kerberos.get(), garbage.len() as u64);
    assert_eq!(upstream.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_a_stream_ends_it_without_an_answer() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    for octets in garbage() {
        let mut client = relay.tcp(Service::Kdc).await;
        client.send(&octets).await;
        assert_eq!(client.hear().await, Heard::End, "{octets:02x?}");
    }
    let mut client = relay.tcp(Service::Kpasswd).await;
    client.send(&Kind::Plain.request(REALM).bytes).await;
    assert_eq!(client.hear().await, Heard::End);
    assert_eq!(upstream.seen().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_carries_several_requests_however_they_are_cut() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let kinds = [Kind::Plain, Kind::Preauth, Kind::Tgs];
    let requests: Vec<u8> = kinds
        .iter()
        .flat_map(|kind| framed(&kind.request(REALM).bytes))
        .collect();
    for step in [requests.len(), 1, 7] {
        let mut client = relay.tcp(Service::Kdc).await;
        for piece in requests.chunks(step) {
            client.send_octets(piece).await;
        }
        for kind in kinds {
            assert_eq!(client.hear().await.message()[0], kind.reply()[0]);
        }
    }
    assert_eq!(
        upstream.posts(),
        3,
        "the second and third time they were copies"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_is_answered_to_its_end() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let mut client = relay.tcp(Service::Kdc).await;
    client.send(&Kind::Plain.request(REALM).bytes).await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.0)
        .await
        .unwrap();
    assert_eq!(client.hear().await.message()[0], 0x6b);
    assert_eq!(client.hear().await, Heard::End);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_the_limit_is_told_and_ends_the_stream() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let beyond = MAX_REQUEST as u32 + 1;
    // With the reserved bit, just too long, and with all that was announced behind it.
    for (length, follows) in [
        (1 << 31 | 10, 10),
        (u32::MAX, 0),
        (beyond, 0),
        (beyond, beyond),
    ] {
        let octets = [length.to_be_bytes().to_vec(), vec![0x30; follows as usize]].concat();
        let mut client = relay.tcp(Service::Kdc).await;
        client.send_octets(&octets).await;
        assert_eq!(said(&client.hear().await.message()).code, 61);
        assert_eq!(client.hear().await, Heard::End);

        let mut client = relay.tcp(Service::Kpasswd).await;
        client.send_octets(&octets).await;
        let told = told(&client.hear().await.message());
        assert_eq!((told.version, told.result, told.code), (1, 2, 61));
        assert_eq!(client.hear().await, Heard::End);
    }
    assert_eq!(relay.counters().too_long.get(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_before_an_oversize_length_are_received() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let mut client = relay.tcp(Service::Kdc).await;
    client.send(&Kind::Plain.request(REALM).bytes).await;
    client.send_octets(&[0xff; 4]).await;
    assert_eq!(client.hear().await.message()[0], 0x6b);
    assert_eq!(said(&client.hear().await.message()).code, 61);
    assert_eq!(client.hear().await, Heard::End);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_request_is_relayed_as_it_is() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let mut request = tgs_req(REALM);
    // What follows the message goes with it.
    request.bytes.resize(MAX_REQUEST, 0);
    let answer = relay.ask(Transport::Tcp, &request).await;
    assert_eq!(answer.message()[0], 0x6d);
    assert!(upstream.seen().posts[0].message() == request.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_reply_is_relayed_whole_over_tcp() {
    let frame = as_rep_of(MAX_REPLY).len() - MAX_REPLY;
    for (size, relayed) in [(MAX_REPLY - frame, true), (MAX_REPLY - frame + 1, false)] {
        let reply = as_rep_of(size);
        let upstream = Plan::always(Act::Reply(reply.clone())).start();
        let relay = Setup::by(&[&upstream]).start();
        let answer = relay.ask(Transport::Tcp, &Kind::Plain.request(REALM)).await;
        assert!(
            answer
                == if relayed {
                    Heard::Message(reply)
                } else {
                    Heard::Reset
                },
            "{size}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_too_long_for_udp_is_there_over_tcp() {
    for (lines, limit) in [("", 4096), ("udp-reply-max-bytes = 600", 600)] {
        let frame = as_rep_of(limit).len() - limit;
        for (size, fits) in [(limit - frame, true), (limit - frame + 1, false)] {
            let reply = as_rep_of(size);
            let upstream = Plan::always(Act::Reply(reply.clone())).start();
            let relay = Setup::by(&[&upstream]).listen(lines).start();
            let request = Kind::Preauth.request(REALM);
            let answer = relay.ask(Transport::Udp, &request).await.message();
            if fits {
                assert_eq!(answer, reply)
            } else {
                assert_eq!(said(&answer).code, 52)
            }
            assert_eq!(relay.ask(Transport::Tcp, &request).await.message(), reply);
            assert_eq!(upstream.posts(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_has_the_mode_asked_for_and_serves() {
    let (granting, refusing) = (
        Plan::granting().start(),
        Plan::always(Act::status(403)).start(),
    );
    let setup = Setup::by(&[&granting]).realm("NONE.EXAMPLE", &[&refusing], "");
    let (kdc, kpasswd) = (
        setup.dir().join("kdc.sock"),
        setup.dir().join("kpasswd.sock"),
    );
    let listen = format!(
        "kdc = [\"unix:{}\"]\nkpasswd = [\"unix:{}\"]\nunix-mode = \"0620\"",
        kdc.display(),
        kpasswd.display()
    );
    let relay = setup.listen(&listen).start();
    for (path, kind) in [(&kdc, Kind::Plain), (&kpasswd, Kind::Change)] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o620);
        let mut client = Stream(UnixStream::connect(path).await.unwrap());
        client.send(&kind.request(REALM).bytes).await;
        assert_eq!(client.hear().await.message()[0], kind.reply()[0]);
    }
    let mut client = Stream(UnixStream::connect(&kdc).await.unwrap());
    client
        .send(&Kind::Plain.request("NONE.EXAMPLE").bytes)
        .await;
    assert_eq!(
        client.hear().await,
        Heard::End,
        "a Unix socket knows no reset"
    );
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_open_to_all_by_default() {
    let upstream = Plan::granting().start();
    let setup = Setup::by(&[&upstream]);
    let path = setup.dir().join("kdc.sock");
    let _relay = setup
        .listen(&format!("kdc = [\"unix:{}\"]", path.display()))
        .start();
    assert_eq!(
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o666
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn padata_of_no_consequence_is_relayed_untouched() {
    let upstream = Plan::granting().start();
    let relay = Setup::by(&[&upstream]).start();
    let request = crate::messages::as_req(REALM, &[PA_REQ_ENC_PA_REP, 150, 128]);
    relay.ask(Transport::Udp, &request).await;
    let post = &upstream.seen().posts[0];
    assert_eq!(post.message(), request.bytes);
    assert_eq!(post.path, "/KdcProxy");
    assert_eq!(post.header("content-type"), "application/kerberos");
}

//! The connections kept to a KDC: reused while they live, and none that died costs a request that may not be repeated.

use loopkdc::relay::upstream::kdc::{Kdc, Transport};
use loopkdc::relay::upstream::{ConnReuse, Fault};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::messages::{Kind, as_rep, framed};
use crate::scripted::{Act, Script, read, terms_of};
use crate::{ask, ask_over, within};

#[tokio::test]
async fn a_kept_connection_is_used_again_unless_a_fresh_one_is_asked_for() {
    let script = Script::default().tcp(|_| Act::Reply(as_rep()));
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    for _ in 0..5 {
        ask(&kdc, Kind::Plain).await.unwrap();
    }
    assert_eq!(scripted.seen().connections, 1);
    ask_over(&kdc, Kind::Preauth, ConnReuse::Never)
        .await
        .unwrap();
    assert_eq!(scripted.seen().connections, 2);
}

#[tokio::test]
async fn what_may_not_be_repeated_goes_over_a_kept_one_only_once_the_kdc_has_shown_to_keep_them() {
    let script = Script::default().tcp(|_| Act::Reply(as_rep()));
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    let surely = ConnReuse::KnownAlive;
    for (connection, connections) in [
        (ConnReuse::Any, 1),
        (surely, 2),
        (ConnReuse::Any, 2),
        (surely, 2),
    ] {
        ask_over(&kdc, Kind::Preauth, connection).await.unwrap();
        assert_eq!(scripted.seen().connections, connections, "{connection:?}");
    }
}

/// krb5kdc closes after each reply.
#[tokio::test]
async fn a_connection_that_was_closed_after_the_reply_costs_nothing() {
    let script = Script::default().tcp(|_| Act::Last(framed(&as_rep())));
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    for (count, kind) in [Kind::Plain, Kind::Preauth, Kind::Plain]
        .into_iter()
        .enumerate()
    {
        ask(&kdc, kind).await.unwrap();
        scripted.until(|seen| seen.closed == count + 1).await;
    }
    assert_eq!(scripted.seen().connections, 3);
}

#[tokio::test]
async fn a_close_that_crosses_a_request_is_told() {
    let script = Script::default().tcp(|asked| match asked.on_connection {
        1 => Act::Reply(as_rep()),
        _ => Act::Last(vec![]),
    });
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    ask(&kdc, Kind::Plain).await.unwrap();
    assert_eq!(
        ask(&kdc, Kind::Plain).await.unwrap_err(),
        Fault::ReusedConnectionClosed
    );
    assert_eq!(scripted.seen().asked(), (2, 0), "and not repeated here");
}

/// Over a kept connection too, an answer that began is no sign of a stale one.
#[tokio::test]
async fn a_close_within_a_reply_is_no_stale_connection() {
    let script = Script::default().tcp(|asked| match asked.on_connection {
        1 => Act::Reply(as_rep()),
        _ => Act::Last(vec![0]),
    });
    let scripted = script.start().await;
    let kdc = scripted.kdc(Transport::TcpFirst);
    ask(&kdc, Kind::Plain).await.unwrap();
    assert_eq!(ask(&kdc, Kind::Plain).await.unwrap_err(), Fault::Unanswered);
}

/// Takes the next connection and grants one request on it.
async fn grant(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    read(&mut stream).await.unwrap();
    stream.write_all(&framed(&as_rep())).await.unwrap();
    stream
}

/// What nobody asked for would be taken for the next reply.
#[tokio::test]
async fn a_kept_connection_with_octets_on_it_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let kdc = Kdc::new(terms_of(address, Transport::TcpFirst));
    let (reply, mut stream) = tokio::join!(ask(&kdc, Kind::Plain), grant(&listener));
    reply.unwrap();
    let unasked = as_rep();
    stream.write_all(&framed(&unasked)).await.unwrap();
    let (reply, _stream) = tokio::join!(ask(&kdc, Kind::Plain), grant(&listener));
    assert_ne!(reply.unwrap().bytes(), &unasked);
}

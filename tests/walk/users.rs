//! Several users of one machine: what one of them floods it with costs the others nothing. Root alone can be several.

use std::net::SocketAddr;
use std::thread;

use loopkdc::wire::Service;
use rustix::process::Uid;
use rustix::thread::set_thread_uid;
use tokio::net::{TcpStream, UdpSocket};

use crate::clients::{Heard, Stream, Udp};
use crate::eventually;
use crate::messages::{Kind, PA_ENC_TIMESTAMP, REALM, as_req, krb_error, said};
use crate::relay::{Reached, Setup};
use crate::upstream::{Act, Gate, Plan, Upstream};

const FLOODER: u32 = 20_001;
const OTHER: u32 = 20_002;

/// What a thread makes that this user runs.
fn made_by<T: Send>(user: u32, make: impl FnOnce() -> T + Send) -> T {
    let made = || {
        set_thread_uid(Uid::from_raw(user)).expect("the test is root's");
        make()
    };
    thread::scope(|scope| scope.spawn(made).join().unwrap())
}

fn udp_of(user: u32, address: SocketAddr) -> Udp {
    let socket = made_by(user, || std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    socket.connect(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    Udp(UdpSocket::from_std(socket).unwrap())
}

fn stream_of(user: u32, address: SocketAddr) -> Stream {
    let stream = made_by(user, || std::net::TcpStream::connect(address).unwrap());
    stream.set_nonblocking(true).unwrap();
    Stream(TcpStream::from_std(stream).unwrap())
}

/// An upstream whose answers wait for the gate.
fn gated(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Plan::new(move |post| post.granted().after(&gate)).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_datagrams_of_one_user_leave_places_for_those_of_another() {
    let gate = Gate::shut();
    let upstream = gated(&gate);
    let relay = Setup::by(&[&upstream]).listen("max-in-flight = 7").start();
    let [flooder, other] = [FLOODER, OTHER].map(|user| udp_of(user, relay.address(Service::Kdc)));
    for _ in 0..20 {
        flooder.send(&Kind::Preauth.request(REALM).bytes).await;
    }
    // Of seven one alone has four fifths.
    eventually(|| relay.counters().dropped.get() == 14).await;
    other.send(&Kind::Plain.request(REALM).bytes).await;
    upstream.until_posts(7).await;
    gate.open();
    assert_eq!(other.hear().await[0], 0x6b);
    assert_eq!(relay.counters().dropped.get(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_one_user_make_room_for_those_of_another() {
    let gate = Gate::shut();
    let upstream = gated(&gate);
    let relay = Setup::by(&[&upstream])
        .listen("max-connections = 7")
        .start();
    let address = relay.address(Service::Kdc);
    let mut crowd = Vec::new();
    // All wait for their answers: none of them makes room.
    for posts in 1..=6 {
        let mut stream = stream_of(FLOODER, address);
        stream.send(&Kind::Preauth.request(REALM).bytes).await;
        upstream.until_posts(posts).await;
        crowd.push(stream);
    }
    assert_eq!(stream_of(FLOODER, address).hear().await, Heard::End);
    let mut other = stream_of(OTHER, address);
    other.send(&Kind::Plain.request(REALM).bytes).await;
    upstream.until_posts(7).await;
    gate.open();
    assert_eq!(other.hear().await.message()[0], 0x6b);
    assert_eq!(relay.counters().turned_away.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_user_has_under_way_at_a_proxy_leaves_room_for_others() {
    let gate = Gate::shut();
    let upstream = gated(&gate);
    let relay = Setup::by(&[&upstream]).start();
    let [flooder, other, root] =
        [FLOODER, OTHER, 0].map(|user| udp_of(user, relay.address(Service::Kdc)));
    for _ in 0..30 {
        flooder.send(&Kind::Preauth.request(REALM).bytes).await;
    }
    upstream.until_posts(6).await;
    other.send(&Kind::Plain.request(REALM).bytes).await;
    upstream.until_posts(7).await;
    // Root's are everybody's.
    for posts in 8..30 {
        root.send(&Kind::Preauth.request(REALM).bytes).await;
        upstream.until_posts(posts).await;
    }
    eventually(|| relay.counters().held_back.get() == 24).await;
    assert_eq!(said(&flooder.hear().await).code, 52);
    gate.open();
    assert_eq!(other.hear().await[0], 0x6b);
    assert_eq!(upstream.posts(), 29);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_passwords_of_one_user_leave_logins_for_others() {
    let upstream = Plan::new(|post| match post.granted() {
        // An AS-REP: its client has shown a password.
        Act::Reply(reply) if reply[0] == 0x6b => Act::Reply(krb_error(24, None)),
        granted => granted,
    })
    .start();
    let relay = Setup::by(&[&upstream]).start();
    let [guesser, other] = [FLOODER, OTHER].map(|user| udp_of(user, relay.address(Service::Kdc)));
    let guess = || as_req(REALM, &[PA_ENC_TIMESTAMP]).bytes;
    for _ in 0..13 {
        guesser.send(&guess()).await;
        assert_eq!(said(&guesser.hear().await).code, 24);
    }
    guesser.send(&guess()).await;
    assert_eq!(said(&guesser.hear().await).code, 52);
    assert_eq!(
        (relay.counters().held_back.get(), upstream.posts()),
        (1, 13)
    );
    // Tickets are still to be had, and logins by others.
    guesser.send(&Kind::Tgs.request(REALM).bytes).await;
    assert_eq!(guesser.hear().await[0], 0x6d);
    other.send(&guess()).await;
    assert_eq!(said(&other.hear().await).code, 24);
}

//! krb5kdc and kadmind of MIT, asked by stock clients through the way out alone.

use std::net::SocketAddr;
use std::sync::Arc;

use loopkdc::relay::upstream::ConnReuse;
use loopkdc::relay::upstream::kdc::{Kdc, Transport};
use loopkdc::wire::{KerberosMessage, Resend, Service};
use tempfile::tempdir;
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

use crate::scripted::terms_of;
use crate::support::client::Client;
use crate::support::netns::isolated;
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};
use crate::{BOTH, outgoing};

/// Relays datagrams at 127.0.0.1 to `to`, each once.
async fn relay(service: Service, port: u16, to: SocketAddr, transport: Transport) {
    let socket = Arc::new(UdpSocket::bind(("127.0.0.1", port)).await.unwrap());
    let kdc = Arc::new(Kdc::new(terms_of(to.to_string(), transport)));
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let octets = buffer[..length].to_vec().into();
            let message = KerberosMessage::parse(service, octets).unwrap();
            let (socket, kdc) = (Arc::clone(&socket), Arc::clone(&kdc));
            tokio::spawn(async move {
                let reuse = match message.resend() {
                    Resend::Harmless => ConnReuse::Any,
                    Resend::Once => ConnReuse::KnownAlive,
                };
                let reply = kdc.send(&outgoing(message, reuse)).await;
                let reply = reply.unwrap_or_else(|fault| panic!("{fault}"));
                socket.send_to(reply.bytes(), peer).await.unwrap();
            });
        }
    });
}

fn tickets_and_a_new_password(transport: Transport) {
    let (dir, runtime) = (tempdir().unwrap(), Runtime::new().unwrap());
    let realm = Realm::start(dir.path(), "EXAMPLE.COM", 88, Preauth::Spake);
    runtime.block_on(relay(Service::Kdc, 88, realm.kdc_address(), transport));
    runtime.block_on(relay(
        Service::Kpasswd,
        464,
        realm.kpasswd_address(),
        transport,
    ));
    let client = Client::by_drop_in(dir.path(), &[realm.name]);
    // A KDC's log comes in order and late: what it says of a ticket comes after all that it said before.
    let asked = |tickets: usize| {
        client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        realm.kdc.wait_for_count("TGS_REQ", tickets);
        realm.kdc.count("AS_REQ")
    };
    client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
    let requests = asked(1);
    for _ in 0..3 {
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
    }
    assert_eq!(asked(2), 4 * requests, "each once");
    let new = "a newer horse";
    client
        .run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new])
        .succeeds();
    assert_eq!(realm.key_version("user"), 2);
    let expired = client.run("kinit expired@EXAMPLE.COM", &[PASSWORD, new, new]);
    expired.says("Password expired").succeeds();
}

#[test]
fn over_tcp() {
    isolated(|| tickets_and_a_new_password(BOTH[0]));
}

#[test]
fn over_udp() {
    isolated(|| tickets_and_a_new_password(BOTH[1]));
}

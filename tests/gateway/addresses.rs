//! A KDC whose name has several addresses.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use loopkdc::relay::upstream::kdc::{Kdc, KdcOptions, Transport};
use socket2::{Domain, Socket, Type};
use tempfile::NamedTempFile;

use crate::messages::{Kind, as_rep, krb_error};
use crate::scripted::{Act, Script, terms_of};
use crate::support::netns::{bind_over, isolated};
use crate::{BOTH, ask, eventually};

/// Where it is written which addresses `kdc.test` has.
pub struct Names(NamedTempFile);

impl Names {
    pub fn are(&self, addresses: &[&str]) {
        let line = |address| format!("{address} kdc.test\n");
        let lines: String = addresses.iter().map(line).collect();
        fs::write(self.0.path(), lines).unwrap();
    }
}

/// Runs `body` where `kdc.test` has these addresses.
fn named(addresses: &[&str], body: impl Future<Output = ()>) {
    renamed(addresses, async |_| body.await);
}

/// The same for one that changes them.
pub fn renamed(addresses: &[&str], body: impl AsyncFnOnce(Names)) {
    let names = Names(NamedTempFile::new().unwrap());
    names.are(addresses);
    bind_over(names.0.path(), Path::new("/etc/hosts"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    runtime.block_on(body(names));
    // A look-up holds a thread until the name server's time is up.
    runtime.shutdown_background();
}

pub fn terms(address: SocketAddr, transport: Transport) -> KdcOptions {
    terms_of(format!("kdc.test:{}", address.port()), transport)
}

fn kdc(address: SocketAddr, transport: Transport) -> Kdc {
    Kdc::new(terms(address, transport))
}

pub fn granting() -> Script {
    let script = Script::default().tcp(|_| Act::Reply(as_rep()));
    script.udp(|_| vec![as_rep()])
}

#[test]
fn an_address_that_refuses_is_followed_by_the_next() {
    isolated(|| {
        named(&["::1", "127.0.0.2", "127.0.0.3"], async {
            let scripted = granting().start_at("127.0.0.3:0").await;
            for (kind, transport) in Kind::ALL[..3]
                .iter()
                .flat_map(|kind| BOTH.map(|t| (kind, t)))
            {
                ask(&kdc(scripted.address, transport), *kind).await.unwrap();
            }
            assert_eq!(scripted.seen().asked(), (3, 3));
        });
    });
}

#[test]
fn an_ipv6_address_will_do() {
    isolated(|| {
        named(&["127.0.0.2", "::1"], async {
            let scripted = granting().start_at("[::1]:0").await;
            for transport in BOTH {
                ask(&kdc(scripted.address, transport), Kind::Preauth)
                    .await
                    .unwrap();
            }
            assert_eq!(scripted.seen().asked(), (1, 1));
        });
    });
}

/// A listener that nobody accepts from, with as many connections waiting as it takes.
pub fn deaf(address: SocketAddr) -> (TcpListener, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let taken = socket.connect_timeout(&address, std::time::Duration::from_millis(500));
        waiting.push(socket);
        if taken.is_err() {
            return (listener.into(), waiting);
        }
    }
}

#[test]
fn an_address_that_is_silent_holds_up_nobody() {
    isolated(|| {
        named(&["127.0.0.2", "127.0.0.3"], async {
            let scripted = granting().start_at("127.0.0.3:0").await;
            let silent: SocketAddr = ([127, 0, 0, 2], scripted.address.port()).into();
            let _deaf = deaf(silent);
            let short = std::time::Duration::from_millis(100);
            assert!(TcpStream::connect_timeout(&silent, short).is_err());
            let kdc = kdc(scripted.address, Transport::TcpFirst);
            ask(&kdc, Kind::Preauth).await.unwrap();
            assert_eq!(scripted.seen().asked(), (1, 0));
        });
    });
}

/// How many connects to `address` have not been answered: those in SYN_SENT (proc(5), /proc/net/tcp).
fn calls(address: SocketAddr) -> usize {
    let SocketAddr::V4(v4) = address else {
        panic!("{address}")
    };
    let host = u32::from_ne_bytes(v4.ip().octets());
    let waiting = format!(" {host:08X}:{:04X} 02 ", v4.port());
    let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
    sockets.matches(&waiting).count()
}

/// A full backlog drops a SYN, and the kernel sends the next after a second.
#[tokio::test]
async fn who_is_silent_is_called_again() {
    let (listener, _waiting) = deaf(([127, 0, 0, 1], 0).into());
    let address = listener.local_addr().unwrap();
    let kdc = Kdc::new(terms_of(address.to_string(), Transport::TcpFirst));
    let before = calls(address);
    tokio::select! {
        end = ask(&kdc, Kind::Preauth) => panic!("{end:?}"),
        () = eventually(|| calls(address) > before + 1) => {}
    }
}

/// Two addresses may be two KDCs: the one that said "too big" gets it again, and the other nothing.
#[test]
fn what_is_too_big_goes_to_the_same_address() {
    isolated(|| {
        named(&["127.0.0.2", "127.0.0.3"], async {
            let first = Script::refusing().udp(|_| vec![krb_error(52, None)]);
            let first = first.start_at("127.0.0.2:0").await;
            let second = granting()
                .start_at(&format!("127.0.0.3:{}", first.address.port()))
                .await;
            for kind in [Kind::Preauth, Kind::Change] {
                let fault = ask(&kdc(first.address, Transport::UdpFirst), kind).await;
                assert_eq!(
                    fault.unwrap_err(),
                    loopkdc::relay::upstream::Fault::ClosedWithoutReply
                );
            }
            assert_eq!(
                (first.seen().asked(), second.seen().asked()),
                ((0, 2), (0, 0))
            );
        });
    });
}

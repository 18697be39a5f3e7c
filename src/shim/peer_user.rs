//! Whose a peer is: users of one machine are told apart by uid, and other machines by address.

#[cfg(target_os = "linux")]
mod sock_diag;

use std::net::SocketAddr;

use tokio_util::either::Either;

use crate::daemon::accept::ClientStream;
use crate::relay::shares::Holder;

/// What a peer came over.
#[derive(Clone, Copy, Debug)]
enum PeerTransport {
    Tcp,
    Udp,
}

/// Asks the kernel whose a peer is. Who can't be told is [`Holder::Unknown`]: whose socket is closed, or who is beyond what the
/// kernel shows to this process; on other systems than Linux, all but those on Unix sockets.
#[derive(Debug)]
pub(super) struct PeerUsers {
    #[cfg(target_os = "linux")]
    kernel: Option<sock_diag::SockDiag>,
}

impl PeerUsers {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            kernel: sock_diag::SockDiag::open()
                .inspect_err(|error| tracing::debug!(%error, "users can't be told apart"))
                .ok(),
        }
    }

    /// Who is at the other end of `stream`.
    pub(super) fn of_stream(&self, stream: &ClientStream) -> Holder {
        match stream {
            Either::Left(stream) => match (stream.local_addr(), stream.peer_addr()) {
                (Ok(own), Ok(peer)) => self.of(PeerTransport::Tcp, own, peer),
                _ => Holder::Unknown,
            },
            Either::Right(stream) => stream
                .peer_cred()
                .map_or(Holder::Unknown, |peer| Holder::User(peer.uid())),
        }
    }

    /// Who has sent a datagram from `peer` to a socket that is bound to `own`.
    pub(super) fn of_datagram(&self, own: SocketAddr, peer: SocketAddr) -> Holder {
        self.of(PeerTransport::Udp, own, peer)
    }

    fn of(&self, transport: PeerTransport, own: SocketAddr, peer: SocketAddr) -> Holder {
        // A service manager's socket may be for IPv4 and IPv6 at once (RFC 4291 2.5.5.2).
        let canonical = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let (own, peer) = (canonical(own), canonical(peer));
        match self.uid(transport, own, peer) {
            Some(uid) => Holder::User(uid),
            None if peer.ip().is_loopback() => Holder::Unknown,
            None => Holder::Address(peer.ip()),
        }
    }

    #[cfg(target_os = "linux")]
    fn uid(&self, transport: PeerTransport, own: SocketAddr, peer: SocketAddr) -> Option<u32> {
        self.kernel.as_ref()?.uid(transport, own, peer)
    }

    #[cfg(not(target_os = "linux"))]
    fn uid(&self, _: PeerTransport, _: SocketAddr, _: SocketAddr) -> Option<u32> {
        None
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};

    use super::*;
    use crate::daemon::user;

    fn own() -> Holder {
        Holder::User(user::id())
    }

    /// The addresses of a client and of the server that it reaches at `to`, whose socket is bound to `bound`.
    async fn udp(bound: &str, to: &str) -> (UdpSocket, SocketAddr, SocketAddr) {
        let server = UdpSocket::bind(bound).await.unwrap();
        let own = server.local_addr().unwrap();
        let client = UdpSocket::bind((to, 0)).await.unwrap();
        client.send_to(&[0], (to, own.port())).await.unwrap();
        let (_, peer) = server.recv_from(&mut [0]).await.unwrap();
        (client, own, peer)
    }

    #[tokio::test]
    async fn the_sender_of_a_datagram_is_known_as_long_as_its_socket_is_there() {
        let peers = PeerUsers::new();
        for (bound, to) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::]:0", "::1"),
            ("[::]:0", "127.0.0.1"),
        ] {
            let (client, server, peer) = udp(bound, to).await;
            assert_eq!(peers.of_datagram(server, peer), own(), "{bound} {to}");
            client.connect((to, server.port())).await.unwrap();
            assert_eq!(
                peers.of_datagram(server, peer),
                own(),
                "connected, {bound} {to}"
            );
            drop(client);
            assert_eq!(
                peers.of_datagram(server, peer),
                Holder::Unknown,
                "{bound} {to}"
            );
        }
    }

    #[tokio::test]
    async fn the_client_of_a_stream_is_known_and_is_not_root_once_it_has_gone() {
        let peers = PeerUsers::new();
        for (bound, to) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::]:0", "::1"),
            ("[::]:0", "127.0.0.1"),
        ] {
            let listener = TcpListener::bind(bound).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((to, port)).await.unwrap();
            let stream = Either::Left(listener.accept().await.unwrap().0);
            assert_eq!(peers.of_stream(&stream), own(), "{bound} {to}");
            drop(client);
            assert_eq!(peers.of_stream(&stream), Holder::Unknown, "{bound} {to}");
        }
        let (stream, _client) = UnixStream::pair().unwrap();
        assert_eq!(peers.of_stream(&Either::Right(stream)), own());
    }

    #[test]
    fn another_machine_is_told_by_its_address() {
        let [own, peer] = ["192.0.2.1:88", "192.0.2.2:1024"].map(|addr| addr.parse().unwrap());
        let peers = PeerUsers::new();
        let told = peers.of_datagram(own, peer);
        assert_eq!(told, Holder::Address("192.0.2.2".parse().unwrap()));
    }

    #[tokio::test]
    #[ignore = "measures"]
    async fn how_long_a_look_up_takes() {
        let peers = PeerUsers::new();
        let (_client, server, peer) = udp("127.0.0.1:0", "127.0.0.1").await;
        let began = std::time::Instant::now();
        for _ in 0..100_000 {
            assert_eq!(peers.of_datagram(server, peer), own());
        }
        eprintln!("{:?} each", began.elapsed() / 100_000);
    }
}

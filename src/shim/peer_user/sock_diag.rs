//! What the kernel says of the sockets of this machine (sock_diag(7)).

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use super::PeerTransport;
use crate::relay::sync::lock;

/// What the kernel says of one socket is shorter.
const LONGEST: usize = 1024;

/// A socket to ask the kernel on, one question after the other: it answers before the question's send returns.
#[derive(Debug)]
pub(super) struct SockDiag(Mutex<OwnedFd>);

impl SockDiag {
    /// # Errors
    /// The kernel, or a sandbox, knows no such sockets.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, protocol) = (AddressFamily::NETLINK, Some(netlink::SOCK_DIAG));
        let socket = socket_with(family, SocketType::DGRAM, flags, protocol)?;
        // To the kernel: nobody else can answer then.
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self(Mutex::new(socket)))
    }

    /// The user whose the socket at `peer` is, which sends to the one at `own`.
    pub(super) fn uid(
        &self,
        transport: PeerTransport,
        own: SocketAddr,
        peer: SocketAddr,
    ) -> Option<u32> {
        let question = question(transport, own, peer);
        let mut buffer = [0; LONGEST];
        let socket = lock(&self.0);
        send(&*socket, &question, SendFlags::empty()).ok()?;
        let (_, length) = recv(&*socket, &mut buffer, RecvFlags::empty()).ok()?;
        drop(socket);
        uid_in(buffer.get(..length)?, peer)
    }
}

fn question(transport: PeerTransport, own: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let own_ip = if own.ip().is_unspecified() {
        peer.ip()
    } else {
        own.ip()
    };
    let own = SocketAddr::new(own_ip, own.port());
    // Of UDP, the socket that gets what is sent from the source to the destination; of TCP, the one that is bound to the source.
    let (protocol, source, destination) = match transport {
        PeerTransport::Tcp => (IPPROTO_TCP, peer, own),
        PeerTransport::Udp => (IPPROTO_UDP, own, peer),
    };
    let request = InetRequest {
        family: if peer.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: source.port(),
            destination_port: destination.port(),
            source_address: source.ip(),
            destination_address: destination.ip(),
            interface_id: 0,
            // Whichever socket it is.
            cookie: [0xff; 8],
        },
    };
    let mut message = NetlinkMessage::from(SockDiagMessage::InetRequest(request));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    octets
}

/// Of a socket that nobody holds any more it says that it is root's, and no inode.
fn uid_in(answer: &[u8], peer: SocketAddr) -> Option<u32> {
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(answer).ok()?;
    let NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(answer)) = answer.payload else {
        return None;
    };
    let socket = answer.header;
    let is_held = socket.inode != 0 && socket.socket_id.source_port == peer.port();
    is_held.then_some(socket.uid)
}

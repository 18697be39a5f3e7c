//! Datagrams with the address of this machine that they were sent to, and answers from it: where a socket is bound to all
//! addresses, the kernel would choose one by the way to the client, and MIT's clients take an answer from none but the one that
//! they asked (RFC 1123 2.3; IP_PKTINFO in ip(7), IPV6_PKTINFO in ipv6(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Has `socket` tell the address with each datagram.
pub(super) fn turn_on(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

/// Receives one: how long it is, from whom, and to which address.
pub(super) async fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let receive = || {
        let mut space = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
        let received = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut space), flags)?;
        let peer = received.address.as_ref().and_then(peer);
        let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
        let own = received.cmsgs()?.find_map(|message| address(&message));
        Ok((received.bytes, peer, own))
    };
    socket.async_io(Interest::READABLE, receive).await
}

/// Sends one from `own`.
pub(super) async fn send(
    socket: &UdpSocket,
    octets: &[u8],
    peer: SocketAddr,
    own: IpAddr,
) -> io::Result<()> {
    let (parts, flags) = ([IoSlice::new(octets)], MsgFlags::empty());
    let peer = SockaddrStorage::from(peer);
    let send = |from: ControlMessage<'_>| {
        sendmsg(socket.as_raw_fd(), &parts, &[from], flags, Some(&peer))?;
        Ok(())
    };
    let send = || match own {
        IpAddr::V4(own) => send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr {
                s_addr: own.to_bits().to_be(),
            },
            ipi_addr: in_addr { s_addr: 0 },
        })),
        IpAddr::V6(own) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
            ipi6_addr: in6_addr {
                s6_addr: own.octets(),
            },
            ipi6_ifindex: 0,
        })),
    };
    socket.async_io(Interest::WRITABLE, send).await
}

fn peer(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || address.as_sockaddr_in().copied().map(SocketAddrV4::from);
    let v6 = address.as_sockaddr_in6().copied().map(SocketAddrV6::from);
    v6.map(SocketAddr::V6).or_else(|| v4().map(SocketAddr::V4))
}

/// A socket for IPv4 and IPv6 at once tells the addresses of the former mapped (RFC 4291 2.5.5.2), and takes them so.
fn address(message: &ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let own = u32::from_be(info.ipi_spec_dst.s_addr);
            Some(Ipv4Addr::from_bits(own).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

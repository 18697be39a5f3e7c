//! Hearing from the kernel that the network changes (rtnetlink(7)).

use std::io;
use std::os::unix::net::UnixDatagram as StdDatagram;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::net::UnixDatagram;

use super::seen::Seen;

/// RTMGRP_LINK, and _IFADDR, _ROUTE and _RULE of IPv4 and of IPv6 (linux/rtnetlink.h).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x4_0000;
/// As long as the kernel makes what it sends at once (netlink(7)).
const LONGEST: usize = 32 * 1024;

/// What changes on the network, from the moment that this was opened.
#[derive(Debug)]
pub struct Changes {
    socket: UnixDatagram,
    seen: Seen,
    buffer: Vec<u8>,
}

impl Changes {
    /// Opens the socket that the kernel tells changes on. Must be called inside a runtime.
    ///
    /// # Errors
    /// The kernel, or a sandbox, knows no netlink sockets.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        // It is no socket of that family, and is read from in the same way.
        let socket = UnixDatagram::from_std(StdDatagram::from(socket))?;
        Ok(Self {
            socket,
            seen: Seen::default(),
            buffer: vec![0; LONGEST],
        })
    }

    /// Waits until the network is another one.
    ///
    /// # Errors
    /// The socket cannot be read from.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            if self.has_news()? {
                return Ok(());
            }
        }
    }

    /// Reads all that has been said; whether any is news. One change mostly does another, which follows at once: that is the
    /// same change.
    fn has_news(&mut self) -> io::Result<bool> {
        let mut news = false;
        loop {
            match self.socket.try_recv(&mut self.buffer) {
                Ok(length) => news |= self.read(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(news),
                // ENOBUFS: more was said than there was room for (netlink(7)), and what is remembered may be wrong.
                Err(error) if error.raw_os_error() == Some(105) => {
                    self.seen = Seen::default();
                    news = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the messages of one datagram; whether any is news. One that can't be read may be.
    fn read(&mut self, length: usize) -> bool {
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        let mut news = false;
        while !rest.is_empty() {
            let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) else {
                return true;
            };
            let length = message.header.length as usize;
            if let NetlinkPayload::InnerMessage(message) = message.payload {
                news |= self.seen.is_news(&message);
            }
            // Each begins at a multiple of four octets (netlink(3)).
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        news
    }
}

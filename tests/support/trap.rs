//! An address where nobody may come.

use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Listens by TCP and UDP, and serves nobody.
pub(crate) struct Trap {
    address: SocketAddr,
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Trap {
    /// Listens on this address of the loopback.
    pub(crate) fn at(host: u8, port: u16) -> Trap {
        let address = SocketAddr::from(([127, 0, 0, host], port));
        let (tcp, udp) = (TcpListener::bind(address), UdpSocket::bind(address));
        let (tcp, udp) = (tcp.unwrap(), udp.unwrap());
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        Trap { address, tcp, udp }
    }

    /// Whether somebody connected: on loopback a connect is done when it returns, accepted or not.
    pub(crate) fn was_entered(&self) -> bool {
        self.tcp.accept().is_ok()
    }

    /// Fails the test if somebody was here.
    #[track_caller]
    pub(crate) fn is_untouched(&self) {
        assert!(!self.was_entered(), "a connection to {}", self.address);
        let heard = self.udp.recv(&mut [0; 16]);
        assert!(heard.is_err(), "a datagram to {}", self.address);
    }
}

//! The UDP way in: a datagram, an answer (RFC 4120 7.2.1).

#[cfg(target_os = "linux")]
mod packet_info;

#[cfg(target_os = "linux")]
use packet_info::turn_on;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;

use crate::daemon::accept::{AcceptBackoff, is_peer_error};
use crate::daemon::panics;
use crate::relay::exchange::Arrival;
use crate::relay::shares::{Holder, Shares};
use crate::shim::ListenerContext;
use crate::shim::render;
use crate::wire::{KerberosMessage, Service};

/// No datagram is larger.
const MAX_DATAGRAM: usize = 65_536;

/// Receives datagrams until the daemon stops, and has each answered in a task of its own. `places`: for those that wait for
/// their answers, over all UDP sockets.
pub(crate) async fn serve(
    socket: UdpSocket,
    service: Service,
    context: ListenerContext,
    places: Arc<Shares>,
) {
    let listener = UdpListener {
        socket: Arc::new(DatagramSocket::new(socket)),
        service,
        context,
    };
    let receive = || listener.receive(&places);
    panics::supervise(&listener.context.exchange, receive).await;
}

#[derive(Clone)]
struct UdpListener {
    socket: Arc<DatagramSocket>,
    service: Service,
    context: ListenerContext,
}

#[cfg(not(target_os = "linux"))]
fn turn_on(_: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[derive(Debug)]
struct DatagramSocket {
    socket: UdpSocket,
    /// It is bound to all addresses of this machine, and tells of each datagram which one it came to.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux is asked to tell it")
    )]
    tells_address: bool,
}

/// Where a datagram came from, and to which address of this machine, if that is told.
#[derive(Clone, Copy, Debug)]
struct Ends {
    peer: SocketAddr,
    own: Option<IpAddr>,
}

impl DatagramSocket {
    fn new(socket: UdpSocket) -> Self {
        let address = socket.local_addr();
        let is_for_all = address.is_ok_and(|address| address.ip().is_unspecified());
        let turned_on = is_for_all.then(|| turn_on(&socket));
        if let Some(Err(error)) = &turned_on {
            tracing::warn!(%error, "answers over UDP may come from another address than was asked");
        }
        Self {
            socket,
            tells_address: matches!(turned_on, Some(Ok(()))),
        }
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Ends)> {
        #[cfg(target_os = "linux")]
        if self.tells_address {
            let (length, peer, own) = packet_info::receive(&self.socket, buffer).await?;
            return Ok((length, Ends { peer, own }));
        }
        let (length, peer) = self.socket.recv_from(buffer).await?;
        Ok((length, Ends { peer, own: None }))
    }

    async fn send(&self, octets: &[u8], Ends { peer, own }: Ends) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(own) = own {
            return packet_info::send(&self.socket, octets, peer, own).await;
        }
        self.socket.send_to(octets, peer).await.map(drop)
    }

    /// Where it was asked.
    fn asked(&self, ends: Ends) -> io::Result<SocketAddr> {
        let own = self.socket.local_addr()?;
        let ip = ends.own.unwrap_or(own.ip());
        Ok(SocketAddr::new(ip, own.port()))
    }
}

impl UdpListener {
    async fn receive(&self, places: &Arc<Shares>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut backoff = AcceptBackoff::default();
        loop {
            let received = tokio::select! {
                biased;
                () = self.context.tasks.stop.cancelled() => return,
                received = self.socket.receive(&mut buffer) => received,
            };
            match received {
                Ok((length, ends)) => {
                    backoff.reset();
                    let octets = buffer.get(..length).unwrap_or_default();
                    self.take(octets, ends, places);
                }
                // An ICMP answer to a reply whose client has gone.
                Err(error) if is_peer_error(&error) => {
                    tracing::debug!(%error, "receiving a datagram");
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
    }

    /// Has a datagram answered, if there is a place for one more of its user.
    fn take(&self, octets: &[u8], ends: Ends, places: &Arc<Shares>) {
        let ListenerContext {
            exchange, tasks, ..
        } = &self.context;
        let holder = self.sender(ends);
        let Some(place) = places.take(holder, 1) else {
            // The client asks again in a second, or over TCP.
            exchange.counters().dropped.add();
            return exchange.refused();
        };
        let octets = Bytes::copy_from_slice(octets);
        let Some(message) = self.parse(octets) else {
            return exchange.counters().not_kerberos.add();
        };
        let listener = self.clone();
        panics::spawn_catching(&tasks.tracker, exchange, async move {
            listener.answer(message, ends, holder).await;
            drop(place);
        });
    }

    fn sender(&self, ends: Ends) -> Holder {
        let own = self.socket.asked(ends);
        own.map_or(Holder::Unknown, |own| {
            self.context.peers.of_datagram(own, ends.peer)
        })
    }

    /// No datagram, whatever is in it, keeps those behind it from being read.
    fn parse(&self, octets: Bytes) -> Option<KerberosMessage> {
        let parse = || KerberosMessage::parse(self.service, octets).ok();
        panics::catch(&self.context.exchange, parse).flatten()
    }

    async fn answer(self, message: KerberosMessage, ends: Ends, holder: Holder) {
        let ListenerContext {
            exchange, listen, ..
        } = &self.context;
        let reply_max = listen.udp_reply_max_bytes;
        let arrival = Arrival {
            udp_peer: Some(ends.peer),
            holder,
            ..Arrival::now("udp")
        };
        let answered = exchange.answer(message.clone(), arrival).await;
        if !render::fits(&message, &answered.answer, reply_max) {
            exchange.counters().too_big_for_udp.add();
        }
        let datagram = render::datagram(&message, answered.answer, reply_max);
        if let Err(error) = self.socket.send(&datagram, ends).await {
            tracing::debug!(%error, "sending a datagram");
        }
    }
}

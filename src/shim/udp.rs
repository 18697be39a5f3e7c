//! The UDP way in: a datagram, an answer (RFC 4120 7.2.1).

use std::net::SocketAddr;
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
        socket: Arc::new(socket),
        service,
        context,
    };
    let receive = || listener.receive(&places);
    panics::supervise(&listener.context.exchange, receive).await;
}

#[derive(Clone)]
struct UdpListener {
    socket: Arc<UdpSocket>,
    service: Service,
    context: ListenerContext,
}

impl UdpListener {
    async fn receive(&self, places: &Arc<Shares>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut backoff = AcceptBackoff::default();
        loop {
            let received = tokio::select! {
                biased;
                () = self.context.tasks.stop.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((length, peer)) => {
                    backoff.reset();
                    let octets = buffer.get(..length).unwrap_or_default();
                    self.take(octets, peer, places);
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
    fn take(&self, octets: &[u8], peer: SocketAddr, places: &Arc<Shares>) {
        let ListenerContext {
            exchange, tasks, ..
        } = &self.context;
        let holder = self.sender(peer);
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
            listener.answer(message, peer, holder).await;
            drop(place);
        });
    }

    fn sender(&self, peer: SocketAddr) -> Holder {
        let own = self.socket.local_addr();
        own.map_or(Holder::Unknown, |own| {
            self.context.peers.of_datagram(own, peer)
        })
    }

    /// No datagram, whatever is in it, keeps those behind it from being read.
    fn parse(&self, octets: Bytes) -> Option<KerberosMessage> {
        let parse = || KerberosMessage::parse(self.service, octets).ok();
        panics::catch(&self.context.exchange, parse).flatten()
    }

    async fn answer(self, message: KerberosMessage, peer: SocketAddr, holder: Holder) {
        let ListenerContext {
            exchange, listen, ..
        } = &self.context;
        let reply_max = listen.udp_reply_max_bytes;
        let arrival = Arrival {
            udp_peer: Some(peer),
            holder,
            ..Arrival::now("udp")
        };
        let answered = exchange.answer(message.clone(), arrival).await;
        if !render::fits(&message, &answered.answer, reply_max) {
            exchange.counters().too_big_for_udp.add();
        }
        let datagram = render::datagram(&message, answered.answer, reply_max);
        if let Err(error) = self.socket.send_to(&datagram, peer).await {
            tracing::debug!(%error, "sending a datagram");
        }
    }
}

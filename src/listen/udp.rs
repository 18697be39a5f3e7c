//! The UDP way in: a datagram, an answer (RFC 4120 7.2.1).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Shared, Shortage, is_peers_doing, words};
use crate::exchange::Arrival;
use crate::wire::{KerberosMessage, Service};

/// No datagram is larger.
const MAX_DATAGRAM: usize = 65_536;

/// The places for datagrams that wait for their answers, over all UDP sockets.
pub(super) fn places(max_in_flight: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max_in_flight))
}

/// Receives datagrams until the daemon stops, and has each answered in a task of its own.
pub(super) async fn serve(
    socket: UdpSocket,
    service: Service,
    shared: Shared,
    places: Arc<Semaphore>,
) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut shortage = Shortage::default();
    loop {
        let received = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        match received {
            Ok((length, peer)) => {
                shortage.over();
                let octets = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    // The client asks again in a second, or over TCP.
                    shared.exchange.counters().dropped.add();
                    continue;
                };
                let Ok(message) = KerberosMessage::parse(service, octets) else {
                    shared.exchange.counters().not_kerberos.add();
                    continue;
                };
                shared.tasks.spawn(answer(
                    Arc::clone(&socket),
                    message,
                    peer,
                    shared.clone(),
                    place,
                ));
            }
            // An ICMP answer to a reply whose client has gone.
            Err(error) if is_peers_doing(&error) => {
                tracing::debug!(%error, "receiving a datagram");
            }
            Err(error) => shortage.rest(&error).await,
        }
    }
}

async fn answer(
    socket: Arc<UdpSocket>,
    message: KerberosMessage,
    peer: SocketAddr,
    shared: Shared,
    _place: OwnedSemaphorePermit,
) {
    let arrival = Arrival {
        udp_peer: Some(peer),
        ..Arrival::now("udp")
    };
    let answered = shared.exchange.answer(message.clone(), arrival).await;
    let datagram = words::datagram(&message, answered.answer, shared.limits.udp_reply_max);
    if let Err(error) = socket.send_to(&datagram, peer).await {
        tracing::debug!(%error, "sending a datagram");
    }
}

//! A request and its reply over TCP (RFC 4120 7.2.2).

use std::io;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::idle::IdleConns;
use crate::relay::upstream::fault::{Fault, NotReply, Unsent};
use crate::relay::upstream::send_state::SendState;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply};

/// What is read at once: nearly all replies whole.
const ROOM: usize = 4096;
/// Octets of a reply's length.
const LENGTH: usize = 4;
/// A KDC that has not replied this long after the connect thinks, and has accepted the connection long ago.
const ACCEPTED: Duration = Duration::from_millis(50);

/// A connection in use.
pub(super) struct TcpConn<'a> {
    pub(super) stream: TcpStream,
    /// A place among those that may not have been accepted; a connection that stood before has none.
    pub(super) turn: Option<SemaphorePermit<'a>>,
}

/// Asks over this connection, and keeps it in `idle` if it is still open after the reply.
pub(super) async fn ask(
    conn: TcpConn<'_>,
    message: &KerberosMessage,
    sent: &SendState,
    idle: &IdleConns,
) -> Result<Reply, Fault> {
    let TcpConn { mut stream, turn } = conn;
    let kept = turn.is_none();
    sent.leave()
        .map_err(|_| Fault::NotSent(Unsent::HandedBack))?;
    let first = first_octets(&mut stream, turn, message).await;
    let first = first.map_err(|error| unheard(&error, kept, idle))?;
    let octets = read_message(&mut stream, first).await?;
    let reply = Reply::parse(message.service(), octets)
        .map_err(|_| Fault::NotKerberos(NotReply::NoReply))?;
    idle.put(stream, kept, Instant::now())?;
    Ok(reply)
}

async fn first_octets(
    stream: &mut TcpStream,
    turn: Option<SemaphorePermit<'_>>,
    message: &KerberosMessage,
) -> io::Result<BytesMut> {
    // In one write: some KDCs read the length and the message together or not at all.
    stream.write_all(message.framed().as_bytes()).await?;
    if turn.is_some() {
        let _ = timeout(ACCEPTED, stream.readable()).await;
        drop(turn);
    }
    let mut octets = BytesMut::with_capacity(ROOM);
    match stream.read_buf(&mut octets).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(octets),
    }
}

/// A connection ended before an octet of the answer. Who closes it is there; who falls silent may not be.
fn unheard(error: &io::Error, kept: bool, idle: &IdleConns) -> Fault {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    if kept {
        idle.found_closed();
        return Fault::ReusedConnectionClosed;
    }
    match error.kind() {
        UnexpectedEof | ConnectionReset | BrokenPipe => Fault::ClosedWithoutReply,
        _ => Fault::Unanswered,
    }
}

/// The message that begins with `octets`, which is refused before more of it is read if it is too long.
async fn read_message(stream: &mut TcpStream, mut octets: BytesMut) -> Result<Bytes, Fault> {
    while octets.len() < LENGTH {
        more(stream, &mut octets).await?;
    }
    let length = usize::try_from(octets.get_u32()).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(Fault::NotKerberos(NotReply::Oversized));
    }
    let Some(missing) = length.checked_sub(octets.len()) else {
        return Err(Fault::NotKerberos(NotReply::TrailingOctets));
    };
    let mut rest = stream.take(missing as u64);
    while octets.len() < length {
        more(&mut rest, &mut octets).await?;
    }
    // A copy, for the reply will be kept, and the room is larger.
    Ok(Bytes::copy_from_slice(&octets))
}

async fn more(stream: &mut (impl AsyncRead + Unpin), octets: &mut BytesMut) -> Result<(), Fault> {
    match stream.read_buf(octets).await {
        Ok(0) | Err(_) => Err(Fault::Unanswered),
        Ok(_) => Ok(()),
    }
}

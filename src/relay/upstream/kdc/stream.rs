//! A request and its reply over TCP (RFC 4120 7.2.2).

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::idle_conns::IdleConns;
use crate::relay::upstream::SHORT_REPLY;
use crate::relay::upstream::fault::{Fault, NotReply, Unsent};
use crate::relay::upstream::send_state::SendState;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply};

/// What is read at once: nearly all replies whole.
const ROOM: usize = 4096;
/// A KDC that has not replied this long after the connect thinks, and has accepted the connection long ago.
const ACCEPTED: Duration = Duration::from_millis(50);

/// A connection in use.
pub(super) struct TcpConn<'a> {
    pub(super) stream: TcpStream,
    /// A place among those that may not have been accepted; a connection that stood before has none.
    pub(super) turn: Option<SemaphorePermit<'a>>,
}

/// Asks over this connection, and keeps it in `idle` if it is still open after the reply; a long one waits for its turn among
/// `long_replies`.
pub(super) async fn ask(
    conn: TcpConn<'_>,
    message: &KerberosMessage,
    sent: &SendState,
    idle: &IdleConns,
    long_replies: &Semaphore,
) -> Result<Reply, Fault> {
    let TcpConn { mut stream, turn } = conn;
    let kept = turn.is_none();
    sent.mark_sent()
        .map_err(|_| Fault::NotSent(Unsent::HandedBack))?;
    let mut reader = BufReader::with_capacity(ROOM, &mut stream);
    let begun = begin(&mut reader, turn, message).await;
    begun.map_err(|error| unheard(&error, kept, idle))?;
    let octets = read_message(&mut reader, long_replies).await?;
    let reply = Reply::parse(message.service(), octets)
        .map_err(|_| Fault::NotKerberos(NotReply::NoReply))?;
    idle.put(stream, kept, Instant::now())?;
    Ok(reply)
}

/// Sends the request, and waits for the first octets of an answer.
async fn begin(
    reader: &mut BufReader<&mut TcpStream>,
    turn: Option<SemaphorePermit<'_>>,
    message: &KerberosMessage,
) -> io::Result<()> {
    // In one write: some KDCs read the length and the message together or not at all.
    reader.write_all(message.framed().as_bytes()).await?;
    if turn.is_some() {
        let _ = timeout(ACCEPTED, reader.get_ref().readable()).await;
        drop(turn);
    }
    if reader.fill_buf().await?.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// A connection ended before an octet of the answer. Who closes it is there; who falls silent may not be.
fn unheard(error: &io::Error, kept: bool, idle: &IdleConns) -> Fault {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
    if kept {
        idle.found_closed();
        return Fault::ReusedConnectionClosed;
    }
    match error.kind() {
        UnexpectedEof | ConnectionReset | BrokenPipe => Fault::ClosedWithoutReply,
        TimedOut => Fault::Lifeless,
        _ => Fault::Unanswered,
    }
}

/// One message, which is refused before it is read if it is too long, and must be all that is there.
async fn read_message(
    reader: &mut BufReader<&mut TcpStream>,
    long_replies: &Semaphore,
) -> Result<Bytes, Fault> {
    let length = reader.read_u32().await.map_err(|_| Fault::Unanswered)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(Fault::NotKerberos(NotReply::Oversized));
    }
    let _turn = if length > SHORT_REPLY {
        long_replies.acquire().await.ok()
    } else {
        None
    };
    // A length that is only promised reserves no more than an answer usually takes.
    let mut octets = Vec::with_capacity(length.min(ROOM));
    let read = reader.take(length as u64).read_to_end(&mut octets).await;
    if read.is_err() || octets.len() < length {
        return Err(Fault::Unanswered);
    }
    if !reader.buffer().is_empty() {
        return Err(Fault::NotKerberos(NotReply::TrailingOctets));
    }
    // The reply will be kept: without what a long one has reserved beyond its end.
    Ok(octets.into_boxed_slice().into())
}

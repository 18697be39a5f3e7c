//! What an upstream can do with a request.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Ended, Post};
use crate::messages::{envelope, framed};

/// What is done with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// 200, and this Kerberos message in its envelope.
    Reply(Vec<u8>),
    Respond(Page),
    /// These octets, and the end of the connection; HTTP/1.1 only.
    Octets(Vec<u8>),
    /// The same, but that TLS does not say that it is the end (RFC 8446 6.1).
    Cut(Vec<u8>),
    /// 200, and a body that never ends.
    Endless,
    /// Nothing, ever; HTTP/2 answers pings.
    Silence,
    /// Nothing, ever; not even to HTTP/2's pings.
    Freeze,
    /// The connection is reset.
    Reset,
    /// The connection ends without a word.
    Close,
    /// RST_STREAM; HTTP/2 only.
    ResetStream(h2::Reason),
    /// The reply, and word that it is the connection's last: `connection: close`, or GOAWAY.
    LastReply(Vec<u8>),
    /// GOAWAY instead of an answer, and the end of the connection; HTTP/2 only.
    GoAway(h2::Reason),
    /// The same, and it says that the request before this one was the last that it looked at.
    GoAwayBefore(h2::Reason),
    /// The reply, and these octets once the gate is open, which nobody has asked for; HTTP/1.1 only.
    ReplyAndMore(Vec<u8>, Gate, Vec<u8>),
    /// The same, once the gate is open.
    After(Gate, Box<Act>),
    /// What the KDC at this address says over TCP.
    Forward(SocketAddr),
}

impl Act {
    /// This, once `gate` is open.
    pub fn after(self, gate: &Gate) -> Self {
        Self::After(gate.clone(), Box::new(self))
    }

    /// A status with a few words of HTML.
    pub fn status(status: u16) -> Self {
        Self::Respond(Page::html(status))
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Page {
    pub fn html(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/html".to_owned())],
            body: b"<!DOCTYPE html><title>Welcome</title><form action=/login>".to_vec(),
        }
    }

    /// What a KDC proxy sends: the message behind its length, in its envelope.
    pub fn reply(message: &[u8]) -> Self {
        Self::kerberos(envelope(&framed(message), None))
    }

    /// 200 and this body, under Kerberos's name.
    pub fn kerberos(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/kerberos".to_owned())],
            body,
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Shut until a test opens it.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn shut() -> Self {
        Self(watch::Sender::new(false))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        let mut opened = self.0.subscribe();
        // The sender lives in self.
        let _ = opened.wait_for(|open| *open).await;
    }
}

/// What is left to do on the wire when gates are open and KDCs have answered.
pub(super) enum Move {
    Respond(Page),
    RespondAndLeave(Page),
    Octets(Vec<u8>),
    Cut(Vec<u8>),
    Endless,
    Silence,
    Freeze,
    End(Ended),
    ResetStream(h2::Reason),
    GoAway(h2::Reason),
    GoAwayBefore(h2::Reason),
    RespondAndMore(Page, Gate, Vec<u8>),
}

/// Waits for gates and KDCs.
pub(super) async fn settle(act: Act, post: &Post) -> Move {
    let mut act = act;
    loop {
        act = match act {
            Act::After(gate, then) => {
                gate.passed().await;
                *then
            }
            Act::Forward(kdc) => match ask_kdc(kdc, post.message()).await {
                Ok(reply) => Act::Reply(reply),
                Err(_) => Act::status(503),
            },
            Act::Reply(message) => return Move::Respond(Page::reply(&message)),
            Act::LastReply(message) => return Move::RespondAndLeave(Page::reply(&message)),
            Act::Respond(page) => return Move::Respond(page),
            Act::Octets(octets) => return Move::Octets(octets),
            Act::Cut(octets) => return Move::Cut(octets),
            Act::Endless => return Move::Endless,
            Act::Silence => return Move::Silence,
            Act::Freeze => return Move::Freeze,
            Act::Reset => return Move::End(Ended::Reset),
            Act::Close => return Move::End(Ended::Closed),
            Act::ResetStream(reason) => return Move::ResetStream(reason),
            Act::GoAway(reason) => return Move::GoAway(reason),
            Act::GoAwayBefore(reason) => return Move::GoAwayBefore(reason),
            Act::ReplyAndMore(reply, gate, more) => {
                return Move::RespondAndMore(Page::reply(&reply), gate, more);
            }
        }
    }
}

/// The KDC's reply, over TCP (RFC 4120 7.2.2).
async fn ask_kdc(kdc: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(kdc).await?;
    stream.write_all(&framed(message)).await?;
    let mut reply = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

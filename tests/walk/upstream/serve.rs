//! One connection after the other: its door, its handshake, its requests, its end.

use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::play::{Move, settle};
use super::{Door, Headers, Post, Seen, Shared, http1, http2};

impl Shared {
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let number = self.count(|seen| {
                seen.connections += 1;
                seen.connections
            });
            tokio::spawn(Arc::clone(&self).serve(stream, number));
        }
    }

    fn count<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let mut result = None;
        self.seen.send_modify(|seen| result = Some(change(seen)));
        result.unwrap()
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream, number: usize) {
        let door = (self.doors)(number);
        let ends_after_handshake = matches!(door, Door::ResetAfterHandshake);
        match door {
            Door::Silent => return std::future::pending().await,
            Door::ResetAtOnce => return reset(&stream),
            Door::ResetInHandshake => {
                // What has been read is gone; what matters is that the handshake has begun.
                let _ = stream.read_u8().await;
                return reset(&stream);
            }
            Door::Late(gate) => gate.passed().await,
            Door::Open | Door::ResetAfterHandshake => {}
        }
        let hang_up = self.hang_up.lock().unwrap().clone();
        // A client that doesn't like the certificate ends the handshake; one whose certificate is not taken hears why, which
        // a reset would make it miss.
        let mut stream = match self.tls.accept(stream).into_fallible().await {
            Ok(stream) => stream,
            Err((_, mut refused)) => {
                let _ = refused.shutdown().await;
                let _ = tokio::io::copy(&mut refused, &mut tokio::io::sink()).await;
                return;
            }
        };
        let tls = stream.get_ref().1;
        let group = tls
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        let agreed = (tls.protocol_version().unwrap(), group.unwrap());
        self.count(|seen| {
            seen.handshakes += 1;
            seen.agreed.push(agreed);
        });
        if ends_after_handshake {
            return reset(stream.get_ref().0);
        }
        tokio::select! {
            biased;
            () = hang_up.cancelled() => {}
            ended = self.talk(&mut stream, number) => {
                ended.carry_out(&stream);
                return self.count(|seen| seen.ended += 1);
            }
        }
        let _ = stream.shutdown().await;
        // Ends with the other side's FIN, or with its reset.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        self.count(|seen| seen.ended += 1);
    }

    async fn talk(&self, stream: &mut TlsStream<TcpStream>, number: usize) -> Ended {
        let speaker = Speaker {
            shared: self,
            connection: number,
        };
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => http2::serve(stream, speaker).await,
            _ => http1::serve(stream, speaker).await,
        }
    }
}

/// One connection's view of the script.
#[derive(Clone, Copy)]
pub(super) struct Speaker<'a> {
    shared: &'a Shared,
    connection: usize,
}

impl Speaker<'_> {
    /// Remembers a request, and does what the script says until something has to go out on the wire.
    pub(super) async fn play(&self, path: &str, headers: Headers, body: Vec<u8>) -> Move {
        let post = self.shared.count(|seen| {
            let earlier = seen
                .posts
                .iter()
                .filter(|post| post.connection == self.connection);
            let post = Post {
                number: seen.posts.len() + 1,
                connection: self.connection,
                on_connection: earlier.count() + 1,
                path: path.to_owned(),
                headers,
                body,
            };
            seen.posts.push(post.clone());
            post
        });
        settle((self.shared.script)(&post), &post).await
    }
}

/// How the script wants a connection to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    /// Without a word, not even TLS's close_notify.
    Closed,
    Reset,
}

impl Ended {
    fn carry_out(self, stream: &TlsStream<TcpStream>) {
        match self {
            Self::Closed => {}
            Self::Reset => reset(stream.get_ref().0),
        }
    }
}

/// Makes the close a reset.
fn reset(stream: &TcpStream) {
    SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

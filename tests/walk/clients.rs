//! What a Kerberos client does with sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::messages::framed;
use crate::within;

/// What a client heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Message(Vec<u8>),
    /// The end of the stream.
    End,
    /// ECONNRESET.
    Reset,
}

impl Heard {
    /// The message; anything else fails the test.
    #[track_caller]
    pub fn message(self) -> Vec<u8> {
        match self {
            Self::Message(message) => message,
            other => panic!("no message but {other:?}"),
        }
    }
}

pub struct Udp(pub UdpSocket);

impl Udp {
    pub async fn connect(address: SocketAddr) -> Self {
        let own = if address.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(own).await.unwrap();
        socket.connect(address).await.unwrap();
        Self(socket)
    }

    pub async fn send(&self, message: &[u8]) {
        self.0.send(message).await.unwrap();
    }

    /// The next datagram.
    pub async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let length = within(self.0.recv(&mut buffer)).await.unwrap();
        buffer.truncate(length);
        buffer
    }

    /// Whether nothing more has come by now.
    pub fn is_quiet(&self) -> bool {
        let error = self.0.try_recv(&mut [0; 1]).err();
        error.is_some_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// A client on a stream.
pub struct Stream<S = TcpStream>(pub S);

impl Stream {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Whether neither an octet nor the end has come by now.
    pub fn is_open(&self) -> bool {
        let error = self.0.try_read(&mut [0; 1]).err();
        error.is_some_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Sends `message` behind its length.
    pub async fn send(&mut self, message: &[u8]) {
        self.send_octets(&framed(message)).await;
    }

    pub async fn send_octets(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }

    /// The next message, whose length must be right, or how the stream ends.
    pub async fn hear(&mut self) -> Heard {
        within(async {
            let length = match self.0.read_u32().await {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Heard::End,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Heard::Reset,
                Err(error) => panic!("{error}"),
            };
            assert!(length < 1 << 21, "a length of {length}");
            let mut message = vec![0; length as usize];
            self.0
                .read_exact(&mut message)
                .await
                .expect("the whole message");
            Heard::Message(message)
        })
        .await
    }
}

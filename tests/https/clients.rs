//! Clients of the gateway: octets by hand for HTTP/1, the h2 crate for HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use hyper::{HeaderMap, Request, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::trusted;
use crate::gateway::Gateway;
use crate::within;

pub async fn tls(address: SocketAddr, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    handshake(stream, protocols, None).await
}

/// A certificate and its key, for a client that has one.
pub type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// TLS over `stream`, as whoever `identity` says.
pub async fn handshake(
    stream: TcpStream,
    protocols: &[&[u8]],
    identity: Option<Identity>,
) -> TlsStream<TcpStream> {
    let shaken = try_handshake(stream, protocols, identity).await;
    shaken.unwrap()
}

/// The same, where it may be refused.
pub async fn try_handshake(
    stream: TcpStream,
    protocols: &[&[u8]],
    identity: Option<Identity>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(config(protocols, identity));
    within(connector.connect(name, stream)).await
}

/// What is trusted and offered there.
pub fn config(protocols: &[&[u8]], identity: Option<Identity>) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(trusted().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((certificate, key)) => builder
            .with_client_auth_cert(vec![certificate], key)
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // For who goes on by hand.
    config.enable_secret_extraction = true;
    Arc::new(config)
}

/// How HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    Zero,
    One,
    Two,
}

impl Http {
    pub const ALL: [Self; 3] = [Self::Zero, Self::One, Self::Two];
    pub const FIRST: [Self; 2] = [Self::Zero, Self::One];
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether an HTTP/1 connection was ended after it.
    pub closed: bool,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks over TLS by a client of its own.
pub async fn ask(gateway: &Gateway, http: Http, method: &str, path: &str, body: &[u8]) -> Response {
    let version = match http {
        Http::Two => {
            let mut two = Two::connect(gateway).await;
            let request = Two::request(method, path);
            return two.ask(request, body.to_vec()).await;
        }
        Http::Zero => "1.0",
        Http::One => "1.1",
    };
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/{version}\r\nHost: g\r\nContent-Length: {length}\r\n\r\n");
    let mut one = One::connect(gateway).await;
    one.send(&[head.as_bytes(), body].concat()).await;
    one.hear().await
}

/// POSTs to the path that everyone uses.
pub async fn post(gateway: &Gateway, http: Http, body: &[u8]) -> Response {
    ask(gateway, http, "POST", "/KdcProxy", body).await
}

/// An HTTP/1 connection.
pub struct One<S> {
    pub stream: S,
    buffer: BytesMut,
}

impl One<TlsStream<TcpStream>> {
    pub async fn connect(gateway: &Gateway) -> Self {
        Self::over(tls(gateway.tls, &[b"http/1.1"]).await)
    }
}

impl One<TcpStream> {
    pub async fn plain(gateway: &Gateway) -> Self {
        Self::over(TcpStream::connect(gateway.plain).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> One<S> {
    pub fn over(stream: S) -> Self {
        let buffer = BytesMut::new();
        Self { stream, buffer }
    }

    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The answer to a POST.
    pub async fn post(&mut self, lines: &str, body: &[u8]) -> Response {
        let length = body.len();
        let host = if lines.starts_with("Host: ") {
            ""
        } else {
            "Host: g\r\n"
        };
        let head =
            format!("POST /KdcProxy HTTP/1.1\r\n{host}{lines}Content-Length: {length}\r\n\r\n");
        self.send([head.as_bytes(), body].concat()).await;
        self.hear().await
    }

    /// One response, which must say its length; and, where it says that the connection ends, that it does.
    pub async fn hear(&mut self) -> Response {
        let end = loop {
            let found = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(at) = found {
                break at + 4;
            }
            assert!(self.read().await, "no response: {:?}", self.buffer);
        };
        let head = String::from_utf8(self.buffer.split_to(end).to_vec()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response {
            status: status.parse().unwrap(),
            headers,
            body: Vec::new(),
            closed: false,
        };
        assert_eq!(response.header("transfer-encoding"), None);
        if response.status >= 200 {
            let length = response.header("content-length").unwrap_or("0");
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                assert!(self.read().await, "a cut response");
            }
            response.body = self.buffer.split_to(length).to_vec();
        }
        if response.header("connection") == Some("close") {
            self.ended().await;
            response.closed = true;
        }
        response
    }

    /// Takes a 413 without waiting for the end of the connection.
    pub async fn refused_while_it_sends(&mut self) {
        while !self.buffer.ends_with(b"MiB\n") {
            assert!(self.read().await, "no response: {:?}", self.buffer);
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 413 "));
        self.buffer.clear();
    }

    async fn read(&mut self) -> bool {
        let read = within(self.stream.read_buf(&mut self.buffer)).await;
        read.unwrap() > 0
    }

    /// Waits for the end of the connection, before which nothing more may come; says whether it was told as such.
    pub async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = within(self.stream.read_to_end(&mut rest)).await;
        assert_eq!(rest, b"", "octets after the end");
        end.is_ok()
    }
}

/// An HTTP/2 connection.
pub struct Two {
    pub requests: SendRequest<Bytes>,
    pub connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Two {
    pub async fn connect(gateway: &Gateway) -> Self {
        Self::over(tls(gateway.tls, &[b"h2"]).await).await
    }

    pub async fn over(stream: TlsStream<TcpStream>) -> Self {
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (requests, connection) = within(h2::client::handshake(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        Self {
            requests,
            connection,
        }
    }

    pub fn request(method: &str, path: &str) -> Request<()> {
        let uri = format!("https://127.0.0.1{path}");
        Request::builder().method(method).uri(uri).body(()).unwrap()
    }

    /// Has a POST to the KDC proxy begin.
    pub fn begin(&mut self, body: Vec<u8>) -> ResponseFuture {
        let request = Self::request("POST", "/KdcProxy");
        let (response, mut stream) = self.requests.send_request(request, false).unwrap();
        stream.send_data(body.into(), true).unwrap();
        response
    }

    pub async fn ask(&mut self, request: Request<()>, body: Vec<u8>) -> Response {
        let ready = within(self.requests.clone().ready()).await.unwrap();
        self.requests = ready;
        let (response, mut stream) = self
            .requests
            .send_request(request, body.is_empty())
            .unwrap();
        if !body.is_empty() {
            // A refusal before the body is read resets the stream.
            drop(stream.send_data(body.into(), true));
        }
        let response = within(response).await.unwrap();
        let (head, mut body) = response.into_parts();
        let mut octets = Vec::new();
        while let Some(data) = within(body.data()).await {
            octets.extend(data.unwrap());
        }
        Response {
            status: head.status.as_u16(),
            headers: listed(&head.headers),
            body: octets,
            closed: false,
        }
    }
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter();
    shown
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// Whether `response` has this status, and reads as text does.
pub fn assert_refused(response: &Response, status: StatusCode) {
    assert_eq!(response.status, status.as_u16(), "{response:?}");
    assert!(response.text().starts_with("loopkdc: "), "{response:?}");
    let kind = response.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"));
}

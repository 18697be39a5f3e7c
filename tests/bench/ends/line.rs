//! The ways to a KDC: each asks for one reply at a time.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clap::{Args, ValueEnum};
use h2::client::SendRequest;
use hyper::{Request, StatusCode};
use loopkdc::wire::{Framed, KerberosMessage, Service, kkdcp};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Outcome, read};

/// The tags of req-body's nonce with a value of four octets (RFC 4120 5.4.1).
const NONCE: [u8; 4] = [0xa7, 0x06, 0x02, 0x04];
/// More than any reply here: a length beyond it is not believed.
const MAX_REPLY: usize = 65536;

/// Whom to ask, how, and what.
#[derive(Args)]
pub(crate) struct Target {
    /// The KDC or the KDC proxy to ask
    #[arg(long)]
    target: SocketAddr,
    /// Over what
    #[arg(long, default_value = "udp")]
    over: Over,
    /// PEM: who signed the KDC proxy's certificate
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The KDC proxy's name
    #[arg(long, default_value = "localhost")]
    host: String,
    /// An AS-REQ as a client sent it
    #[arg(long)]
    request: PathBuf,
    /// What a KDC answered to it: what counts as an answer looks like this one
    #[arg(long)]
    reply: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Over {
    /// Datagrams, a socket for each client
    Udp,
    /// A connection for each request, as every client of a KDC has it
    Tcp,
    /// A connection that is kept
    TcpKept,
    /// HTTPS/1.1 over a connection that is kept
    Http1,
    /// HTTP/2 over a connection that is kept, or HTTP/1.1 where the other side chooses that
    Http2,
    /// HTTPS/1.0 with a connection and a handshake for each request, as MIT's libkrb5 has it
    Http1Fresh,
}

impl Over {
    /// Whether a client's connection lasts: then it is made before anything is measured.
    pub(crate) fn lasts(self) -> bool {
        matches!(self, Self::TcpKept | Self::Http1 | Self::Http2)
    }

    fn alpn(self) -> &'static [&'static [u8]] {
        match self {
            Self::Http2 => &[b"h2", b"http/1.1"],
            _ => &[b"http/1.1"],
        }
    }

    /// The version in an HTTP/1 request.
    fn version(self) -> &'static str {
        match self {
            Self::Http1Fresh => "1.0",
            _ => "1.1",
        }
    }
}

/// What all clients of a target share.
pub(crate) struct Templates {
    address: SocketAddr,
    pub(crate) over: Over,
    tls: Option<TlsConnector>,
    name: ServerName<'static>,
    host: String,
    /// What goes before a request in HTTP/1.
    head: String,
    request: Vec<u8>,
    nonce_at: Range<usize>,
    reply: Vec<u8>,
}

/// Whether a reply is the one that was expected, or differs in what each exchange has of its own.
#[derive(PartialEq, Eq)]
pub(crate) enum Judgement {
    Identical,
    Alike,
}

impl Target {
    pub(crate) fn templates(&self) -> Outcome<Templates> {
        let request = self.wrap(&read(&self.request)?)?;
        Ok(Templates {
            address: self.target,
            over: self.over,
            tls: self
                .ca
                .as_ref()
                .map(|ca| connector(ca, self.over))
                .transpose()?,
            name: ServerName::try_from(self.host.clone())?,
            host: self.host.clone(),
            head: format!(
                "POST /KdcProxy HTTP/{}\r\nHost: {}\r\nContent-Type: application/kerberos\r\n\
                 Content-Length: {}\r\n\r\n",
                self.over.version(),
                self.host,
                request.len()
            ),
            nonce_at: nonce_at(&request)?,
            request,
            reply: read(&self.reply)?,
        })
    }

    /// What a client sends for one request, but for HTTP's head.
    fn wrap(&self, request: &[u8]) -> Outcome<Vec<u8>> {
        let framed = Framed::wrap(request);
        let message = KerberosMessage::parse(Service::Kdc, Bytes::copy_from_slice(request))
            .map_err(|_| "the request is none")?;
        Ok(match self.over {
            Over::Udp => request.to_vec(),
            Over::Tcp | Over::TcpKept => framed.as_bytes().to_vec(),
            Over::Http1 | Over::Http1Fresh | Over::Http2 => {
                kkdcp::encode_request(&framed, message.realm().as_str(), None)
            }
        })
    }
}

/// No session is resumed, and the key exchange is what OpenSSL 3.0 offers: so it is for most of a KDC proxy's clients.
fn connector(ca: &PathBuf, over: Over) -> Outcome<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = over.alpn().iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Where the four octets of the nonce are; a captured nonce with another length will not do.
fn nonce_at(request: &[u8]) -> Outcome<Range<usize>> {
    let mut found = request
        .windows(NONCE.len())
        .enumerate()
        .filter(|(_, octets)| *octets == NONCE);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at + NONCE.len()..at + 2 * NONCE.len()),
        _ => Err("the request has no nonce of four octets, or more than one".into()),
    }
}

impl Templates {
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Makes `request` another one than all others.
    pub(crate) fn number(&self, request: &mut [u8], nonce: u32) -> Outcome<()> {
        let place = request.get_mut(self.nonce_at.clone()).ok_or("no nonce")?;
        place.copy_from_slice(&nonce.to_be_bytes());
        Ok(())
    }

    /// The same message but for its times and what is encrypted: not, say, RESPONSE_TOO_BIG.
    pub(crate) fn judge(&self, reply: &[u8]) -> Option<Judgement> {
        if reply == self.reply {
            return Some(Judgement::Identical);
        }
        let alike =
            reply.first() == self.reply.first() && reply.len().abs_diff(self.reply.len()) <= 8;
        alike.then_some(Judgement::Alike)
    }

    async fn connect(&self) -> Outcome<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn handshake(&self) -> Outcome<TlsStream<TcpStream>> {
        let tls = self.tls.as_ref().ok_or("no --ca")?;
        Ok(tls
            .connect(self.name.clone(), self.connect().await?)
            .await?)
    }
}

/// A client's way to its target.
pub(crate) enum Line {
    Udp(UdpSocket, Vec<u8>),
    Tcp,
    TcpKept(TcpStream),
    Http1(Box<TlsStream<TcpStream>>),
    Http2(SendRequest<Bytes>),
    Http1Fresh,
}

impl Line {
    pub(crate) async fn open(target: &Templates) -> Outcome<Self> {
        Ok(match target.over {
            Over::Udp => {
                let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
                socket.connect(target.address).await?;
                Self::Udp(socket, vec![0; MAX_REPLY])
            }
            Over::Tcp => Self::Tcp,
            Over::TcpKept => Self::TcpKept(target.connect().await?),
            Over::Http1 => Self::Http1(Box::new(target.handshake().await?)),
            Over::Http1Fresh => Self::Http1Fresh,
            Over::Http2 => {
                let stream = target.handshake().await?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Ok(Self::Http1(Box::new(stream)));
                }
                let (requests, connection) = h2::client::handshake(stream).await?;
                tokio::spawn(connection);
                Self::Http2(requests)
            }
        })
    }

    /// Sends `request`, and brings the Kerberos message that came back.
    pub(crate) async fn ask(&mut self, target: &Templates, request: &[u8]) -> Outcome<Bytes> {
        match self {
            Self::Udp(socket, buffer) => {
                socket.send(request).await?;
                let length = socket.recv(buffer).await?;
                Ok(Bytes::copy_from_slice(
                    buffer.get(..length).unwrap_or_default(),
                ))
            }
            Self::Tcp => over_tcp(&mut target.connect().await?, request).await,
            Self::TcpKept(stream) => over_tcp(stream, request).await,
            Self::Http1(stream) => {
                unwrap(&over_http1(stream.as_mut(), &target.head, request).await?)
            }
            Self::Http1Fresh => {
                let mut stream = target.handshake().await?;
                let body = over_http1(&mut stream, &target.head, request).await?;
                // Its end is that of the answer, too.
                match stream.read_u8().await {
                    Ok(_) => Err("octets after the answer".into()),
                    Err(_) => unwrap(&body),
                }
            }
            Self::Http2(requests) => unwrap(&over_http2(requests, &target.host, request).await?),
        }
    }
}

async fn over_tcp(stream: &mut TcpStream, request: &[u8]) -> Outcome<Bytes> {
    stream.write_all(request).await?;
    let length = usize::try_from(stream.read_u32().await?)?;
    if length > MAX_REPLY {
        return Err("too long a reply".into());
    }
    let mut reply = BytesMut::zeroed(length);
    stream.read_exact(&mut reply).await?;
    Ok(reply.freeze())
}

async fn over_http1(
    stream: &mut TlsStream<TcpStream>,
    head: &str,
    request: &[u8],
) -> Outcome<Bytes> {
    stream
        .write_all(&[head.as_bytes(), request].concat())
        .await?;
    stream.flush().await?;
    let mut answer = BytesMut::with_capacity(4096);
    let head = loop {
        more(stream, &mut answer).await?;
        if let Some(at) = answer.windows(4).position(|end| end == b"\r\n\r\n") {
            break answer.split_to(at + 4);
        }
    };
    let length = length_in(std::str::from_utf8(&head)?)?;
    while answer.len() < length {
        more(stream, &mut answer).await?;
    }
    if answer.len() > length {
        Err("octets after the body".into())
    } else {
        Ok(answer.freeze())
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), answer: &mut BytesMut) -> Outcome<()> {
    if answer.len() > MAX_REPLY {
        return Err("too long an answer".into());
    }
    match stream.read_buf(answer).await? {
        0 => Err("the answer is cut short".into()),
        _ => Ok(()),
    }
}

/// The length of the body of an answer that is well.
fn length_in(head: &str) -> Outcome<usize> {
    let mut lines = head.lines();
    if lines.next().and_then(|status| status.split(' ').nth(1)) != Some("200") {
        return Err(head.lines().next().unwrap_or_default().to_owned().into());
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.ok_or("the answer does not say how long it is")?;
    Ok(length.trim().parse()?)
}

async fn over_http2(requests: &mut SendRequest<Bytes>, host: &str, body: &[u8]) -> Outcome<Bytes> {
    let head = Request::post(format!("https://{host}/KdcProxy"))
        .header("content-type", "application/kerberos")
        .header("content-length", body.len())
        .body(())?;
    let mut ready = requests.clone().ready().await?;
    let (answer, mut stream) = ready.send_request(head, false)?;
    stream.send_data(Bytes::copy_from_slice(body), true)?;
    let answer = answer.await?;
    if answer.status() != StatusCode::OK {
        return Err(answer.status().to_string().into());
    }
    let (mut body, mut octets) = (answer.into_body(), BytesMut::new());
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        octets.extend_from_slice(&data);
    }
    Ok(octets.freeze())
}

/// The Kerberos message in a KDC-PROXY-MESSAGE.
fn unwrap(body: &[u8]) -> Outcome<Bytes> {
    let (message, had_length) = kkdcp::decode(body)?.message();
    if had_length {
        Ok(Bytes::copy_from_slice(message))
    } else {
        Err("the reply has no length".into())
    }
}

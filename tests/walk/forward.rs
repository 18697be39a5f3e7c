//! A proxy on the way to an upstream, HTTP or SOCKS5, that does to each connection what a script says and remembers all that
//! it was sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is done with one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Connected to where it wants.
    Open,
    /// An HTTP status (RFC 9110 9.3.6), or a reply of SOCKS (RFC 1928 6).
    Refused(u16),
    /// Closed without a word.
    Closed,
    /// Nothing, ever.
    Silent,
}

/// What was seen of one connection.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Where it wanted to go, as it was said.
    pub target: String,
    /// `user:password`, if they were given.
    pub credentials: Option<String>,
    /// All octets that the client sent, those to the proxy itself among them.
    pub octets: Vec<u8>,
}

type Script = Box<dyn Fn(&str) -> Gate + Send + Sync>;

/// A proxy at work.
pub struct Forward {
    address: SocketAddr,
    scheme: &'static str,
    passed: watch::Sender<Vec<Passed>>,
}

struct Shared {
    script: Script,
    /// Those who may use it, if not everybody may.
    credentials: Option<&'static str>,
    passed: watch::Sender<Vec<Passed>>,
}

impl Forward {
    /// An HTTP proxy that does with a connection to each target what `script` says.
    pub async fn http(script: impl Fn(&str) -> Gate + Send + Sync + 'static) -> Self {
        Self::start("http", None, Box::new(script)).await
    }

    /// A SOCKS5 proxy that does.
    pub async fn socks(script: impl Fn(&str) -> Gate + Send + Sync + 'static) -> Self {
        Self::start("socks5h", None, Box::new(script)).await
    }

    /// One of either kind that lets through whoever says `credentials`.
    pub async fn guarded(scheme: &'static str, credentials: &'static str) -> Self {
        Self::start(scheme, Some(credentials), Box::new(|_| Gate::Open)).await
    }

    async fn start(
        scheme: &'static str,
        credentials: Option<&'static str>,
        script: Script,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = watch::Sender::default();
        let shared = Arc::new(Shared {
            script,
            credentials,
            passed: passed.clone(),
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let place = shared.begin();
                    let _ = match scheme {
                        "http" => shared.serve_http(stream, place).await,
                        _ => shared.serve_socks(stream, place).await,
                    };
                });
            }
        });
        Self {
            address,
            scheme,
            passed,
        }
    }

    /// What a configuration calls it.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The same with user and password.
    pub fn url_with(&self, credentials: &str) -> String {
        format!("{}://{credentials}@{}", self.scheme, self.address)
    }

    pub fn passed(&self) -> Vec<Passed> {
        self.passed.borrow().clone()
    }

    /// Whether `octets` were sent to it, by any connection.
    pub fn has_seen(&self, octets: &[u8]) -> bool {
        let has_seen = |passed: &Passed| {
            let mut windows = passed.octets.windows(octets.len());
            windows.any(|window| window == octets)
        };
        self.passed.borrow().iter().any(has_seen)
    }
}

impl Shared {
    fn begin(&self) -> usize {
        let mut place = 0;
        self.passed.send_modify(|passed| {
            place = passed.len();
            passed.push(Passed::default());
        });
        place
    }

    fn note(&self, place: usize, change: impl FnOnce(&mut Passed)) {
        self.passed.send_modify(|passed| change(&mut passed[place]));
    }

    async fn read(
        &self,
        stream: &mut TcpStream,
        place: usize,
        length: usize,
    ) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; length];
        stream.read_exact(&mut octets).await?;
        self.note(place, |passed| passed.octets.extend_from_slice(&octets));
        Ok(octets)
    }

    async fn serve_http(&self, mut stream: TcpStream, place: usize) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(&mut stream, place, 1).await?);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head
            .strip_prefix("CONNECT ")
            .and_then(|rest| rest.split_once(" HTTP/1.1\r\n"));
        let (target, fields) = target.unwrap_or_else(|| panic!("not a CONNECT: {head}"));
        let given = fields.lines().find_map(|field| {
            let (name, value) = field.split_once(": ")?;
            name.eq_ignore_ascii_case("proxy-authorization")
                .then_some(value)
        });
        let given = given.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
        let given = given.map(|octets| String::from_utf8(octets).unwrap());
        let is_known = self
            .credentials
            .is_none_or(|wanted| given.as_deref() == Some(wanted));
        self.note(place, |passed| {
            passed.target = target.to_owned();
            passed.credentials = given;
        });
        let gate = if is_known {
            (self.script)(target)
        } else {
            Gate::Refused(407)
        };
        match gate {
            Gate::Open => {
                let upstream = TcpStream::connect(target).await?;
                stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
                self.pass(stream, upstream, place).await
            }
            Gate::Refused(status) => {
                let page = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(page.as_bytes()).await
            }
            Gate::Closed => Ok(()),
            Gate::Silent => std::future::pending().await,
        }
    }

    /// RFC 1928, and RFC 1929 for user and password.
    async fn serve_socks(&self, mut stream: TcpStream, place: usize) -> io::Result<()> {
        let count = self.read(&mut stream, place, 2).await?[1];
        let methods = self.read(&mut stream, place, count.into()).await?;
        let wanted = if self.credentials.is_some() { 2 } else { 0 };
        if !methods.contains(&wanted) {
            return stream.write_all(&[5, 0xff]).await;
        }
        stream.write_all(&[5, wanted]).await?;
        if let Some(wanted) = self.credentials {
            self.read(&mut stream, place, 1).await?;
            let user = self.read_text(&mut stream, place).await?;
            let password = self.read_text(&mut stream, place).await?;
            let given = format!("{user}:{password}");
            let is_known = given == wanted;
            self.note(place, |passed| passed.credentials = Some(given));
            stream.write_all(&[1, u8::from(!is_known)]).await?;
            if !is_known {
                return Ok(());
            }
        }
        let kind = self.read(&mut stream, place, 4).await?[3];
        let host = match kind {
            3 => self.read_text(&mut stream, place).await?,
            _ => {
                let octets = self.read(&mut stream, place, 4).await?;
                <[u8; 4]>::try_from(octets)
                    .map(std::net::Ipv4Addr::from)
                    .unwrap()
                    .to_string()
            }
        };
        let port = self.read(&mut stream, place, 2).await?;
        let target = format!("{host}:{}", u16::from_be_bytes([port[0], port[1]]));
        self.note(place, |passed| passed.target = target.clone());
        let reply = |code: u8| [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        match (self.script)(&target) {
            Gate::Open => {
                let upstream = TcpStream::connect(&target).await?;
                stream.write_all(&reply(0)).await?;
                self.pass(stream, upstream, place).await
            }
            Gate::Refused(code) => stream.write_all(&reply(code.try_into().unwrap())).await,
            Gate::Closed => Ok(()),
            Gate::Silent => std::future::pending().await,
        }
    }

    async fn read_text(&self, stream: &mut TcpStream, place: usize) -> io::Result<String> {
        let length = self.read(stream, place, 1).await?[0];
        let text = self.read(stream, place, length.into()).await?;
        Ok(String::from_utf8(text).unwrap())
    }

    async fn pass(&self, client: TcpStream, upstream: TcpStream, place: usize) -> io::Result<()> {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_upstream, mut to_upstream) = upstream.into_split();
        let up = async {
            let mut octets = [0; 4096];
            loop {
                let length = from_client.read(&mut octets).await?;
                self.note(place, |passed| {
                    passed.octets.extend_from_slice(&octets[..length])
                });
                match length {
                    0 => return to_upstream.shutdown().await,
                    length => to_upstream.write_all(&octets[..length]).await?,
                }
            }
        };
        let down = async {
            tokio::io::copy(&mut from_upstream, &mut to_client).await?;
            to_client.shutdown().await
        };
        tokio::try_join!(up, down).map(drop)
    }
}

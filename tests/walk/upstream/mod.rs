//! A KDC proxy on TLS that does to each connection and to each request what a script says, and remembers what it saw.

mod http1;
mod http2;
mod play;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::{NamedGroup, ProtocolVersion, SupportedProtocolVersion};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use self::play::{Act, Gate, Page};
use self::serve::{Ended, Speaker};
use crate::certificates::{self, Clients, Leaf, Shown};
use crate::der::dig;
use crate::messages::{as_rep, changed, tgs_rep};
use crate::within;

/// What happens to a connection before there is a request.
#[derive(Clone, Debug)]
pub enum Door {
    Open,
    /// Reset before an octet of TLS was read.
    ResetAtOnce,
    /// Reset after the ClientHello.
    ResetInHandshake,
    /// Reset after the handshake, before the request is read.
    ResetAfterHandshake,
    /// Accepted, and never a word.
    Silent,
    /// Accepted, and open once the gate is.
    Late(Gate),
}

/// The version of HTTP that is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
}

impl Http {
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Post {
    /// Counts all requests, from 1.
    pub number: usize,
    /// Counts the connections, from 1.
    pub connection: usize,
    /// Counts the requests of this connection, from 1.
    pub on_connection: usize,
    pub path: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// Names in lower case, and values.
pub type Headers = Vec<(String, String)>;

impl Post {
    /// The value of this header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map_or("", |(_, value)| value)
    }

    /// The Kerberos message without its length, which must be right.
    pub fn message(&self) -> &[u8] {
        let kerb_message = dig(&self.body, &[0x30, 0xa0, 0x04]).expect("a kerb-message");
        let (length, message) = kerb_message.split_first_chunk().expect("a length");
        assert_eq!(
            u32::from_be_bytes(*length) as usize,
            message.len(),
            "the kerb-message's length"
        );
        message
    }

    pub fn target_domain(&self) -> Option<String> {
        let domain = dig(&self.body, &[0x30, 0xa1, 0x1b])?;
        Some(String::from_utf8(domain.to_vec()).unwrap())
    }

    /// What a content KDC says to this.
    pub fn granted(&self) -> Act {
        Act::Reply(match self.message()[0] {
            0x6a => as_rep(),
            0x6c => tgs_rep(),
            _ => changed(),
        })
    }
}

/// What an upstream has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connections: usize,
    pub handshakes: usize,
    /// What was agreed on in each handshake.
    pub agreed: Vec<(ProtocolVersion, NamedGroup)>,
    /// Connections that have ended: after [`Upstream::hang_up`] both ends are known to be closed.
    pub ended: usize,
    pub posts: Vec<Post>,
}

type Script = Box<dyn Fn(&Post) -> Act + Send + Sync>;
type Doors = Box<dyn Fn(usize) -> Door + Send + Sync>;

/// An upstream to be started.
pub struct Plan {
    script: Script,
    doors: Doors,
    shown: Shown,
    clients: Clients,
    tls: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<&'static str>,
}

/// An upstream at work, or one that is down: then connections to it are refused.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    socket: Option<Socket>,
}

struct Shared {
    script: Script,
    doors: Doors,
    tls: TlsAcceptor,
    seen: watch::Sender<Seen>,
    hang_up: Mutex<CancellationToken>,
}

impl Plan {
    /// Each request is met with what `script` says.
    pub fn new(script: impl Fn(&Post) -> Act + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            doors: Box::new(|_| Door::Open),
            shown: certificates::shown(Leaf::Right),
            clients: Clients::NotAsked,
            tls: rustls::ALL_VERSIONS.to_vec(),
            protocols: vec!["h2", "http/1.1"],
        }
    }

    /// Each request is met with `act`.
    pub fn always(act: Act) -> Self {
        Self::new(move |_| act.clone())
    }

    /// Each request is granted.
    pub fn granting() -> Self {
        Self::new(Post::granted)
    }

    pub fn speaking(mut self, http: Http) -> Self {
        self.protocols = vec![match http {
            Http::One => "http/1.1",
            Http::Two => "h2",
        }];
        self
    }

    /// Each connection, by its number from 1, is met with what `doors` says.
    pub fn behind(mut self, doors: impl Fn(usize) -> Door + Send + Sync + 'static) -> Self {
        self.doors = Box::new(doors);
        self
    }

    pub fn showing(self, leaf: Leaf) -> Self {
        self.presenting(certificates::shown(leaf))
    }

    /// It shows another certificate than the tests' authority makes.
    pub fn presenting(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    /// Clients are asked for certificates.
    pub fn asking(mut self, clients: Clients) -> Self {
        self.clients = clients;
        self
    }

    pub fn over(mut self, tls: &'static SupportedProtocolVersion) -> Self {
        self.tls = vec![tls];
        self
    }

    /// Starts it on a port of its own.
    pub fn start(self) -> Upstream {
        let mut upstream = self.start_down();
        upstream.open();
        upstream
    }

    /// Takes a port, and refuses connections to it until [`Upstream::open`]: a bound socket that doesn't listen, so that
    /// nobody else gets the port.
    pub fn start_down(self) -> Upstream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.set_nonblocking(true).unwrap();
        Upstream {
            address: socket.local_addr().unwrap().as_socket().unwrap(),
            shared: Arc::new(Shared {
                script: self.script,
                doors: self.doors,
                tls: Arc::new(certificates::server(
                    self.shown,
                    self.clients,
                    &self.tls,
                    &self.protocols,
                ))
                .into(),
                seen: watch::Sender::default(),
                hang_up: Mutex::default(),
            }),
            socket: Some(socket),
        }
    }
}

impl Upstream {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("https://{}/KdcProxy", self.address)
    }

    /// Lets connections in.
    pub fn open(&mut self) {
        let socket = self.socket.take().expect("opened once");
        socket.listen(1024).unwrap();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        tokio::spawn(Arc::clone(&self.shared).accept(listener));
    }

    pub fn seen(&self) -> Seen {
        self.shared.seen.borrow().clone()
    }

    /// How many requests came so far.
    pub fn posts(&self) -> usize {
        self.shared.seen.borrow().posts.len()
    }

    /// Waits until what was seen fulfils `wanted`.
    pub async fn until(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        let reached = within(seen.wait_for(|seen| wanted(seen))).await;
        reached.expect("the upstream is there").clone()
    }

    /// Waits until `count` requests came.
    pub async fn until_posts(&self, count: usize) -> Seen {
        self.until(|seen| seen.posts.len() >= count).await
    }

    /// Closes all connections, as a server does that has waited for long enough, and waits until the other end has seen it.
    pub async fn hang_up(&self) {
        let before = self.seen();
        let token = std::mem::take(&mut *self.shared.hang_up.lock().unwrap());
        token.cancel();
        self.until(|seen| seen.ended == before.handshakes).await;
    }
}

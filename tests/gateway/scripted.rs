//! A KDC that does what a script says, over TCP and UDP, in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use loopkdc::relay::upstream::kdc::{Kdc, KdcOptions, Permitted, Reach, Transport};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::messages::framed;
use crate::within;

const ZERO: std::time::Duration = std::time::Duration::ZERO;

/// What the KDC does about a request on a stream.
#[derive(Clone, Debug)]
pub enum Act {
    /// The reply, with its length; the connection stays open.
    Reply(Vec<u8>),
    /// These octets as they are.
    Raw(Vec<u8>),
    /// These octets, and the end of the connection.
    Last(Vec<u8>),
    /// These octets, and zeros as long as somebody takes them.
    Endless(Vec<u8>),
    /// The end of the connection, in the hard way.
    Reset,
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which one it is over this transport, from 1.
    pub number: usize,
    /// Which one it is on its connection, from 1.
    pub on_connection: usize,
    pub request: Vec<u8>,
}

/// What the KDC has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub connections: usize,
    pub closed: usize,
    pub tcp: Vec<Vec<u8>>,
    pub udp: Vec<Vec<u8>>,
}

impl Seen {
    /// Requests over TCP and over UDP.
    pub fn asked(&self) -> (usize, usize) {
        (self.tcp.len(), self.udp.len())
    }
}

type TcpScript = Arc<dyn Fn(&Asked) -> Act + Send + Sync>;
type UdpScript = Arc<dyn Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync>;

/// What a KDC will do; without a script it refuses.
#[derive(Clone, Default)]
pub struct Script {
    tcp: Option<TcpScript>,
    udp: Option<UdpScript>,
}

/// A running KDC, and the end of it.
pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    tasks: JoinSet<()>,
    /// Keeps the port from others where it refuses.
    _refusing: Option<TcpSocket>,
}

impl Script {
    pub fn refusing() -> Self {
        Self::default()
    }

    pub fn tcp(mut self, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        self.tcp = Some(Arc::new(act));
        self
    }

    pub fn udp(mut self, act: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        self.udp = Some(Arc::new(act));
        self
    }

    pub async fn start(self) -> Scripted {
        self.start_at("127.0.0.1:0").await
    }

    pub async fn start_at(self, address: &str) -> Scripted {
        let socket = if address.contains('[') {
            TcpSocket::new_v6()
        } else {
            TcpSocket::new_v4()
        };
        let socket = socket.unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address.parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let (seen, mut tasks) = (Arc::new(watch::Sender::default()), JoinSet::new());
        if let Some(script) = self.udp {
            let socket = UdpSocket::bind(address).await.unwrap();
            tasks.spawn(datagrams(socket, script, Arc::clone(&seen)));
        }
        let mut refusing = Some(socket);
        if let Some(script) = self.tcp {
            let listener = refusing.take().unwrap().listen(64).unwrap();
            tasks.spawn(accept(listener, script, Arc::clone(&seen)));
        }
        Scripted {
            address,
            seen,
            tasks,
            _refusing: refusing,
        }
    }
}

/// A KDC that an administrator has named, and may ask as much of as any test does.
pub fn terms_of(name: String, transport: Transport) -> KdcOptions {
    KdcOptions {
        name,
        transport,
        max_in_flight: 256,
        permitted: Permitted::Any,
        reach: Reach::Always,
    }
}

impl Scripted {
    /// The way out to it.
    pub fn kdc(&self, transport: Transport) -> Kdc {
        Kdc::new(terms_of(self.address.to_string(), transport))
    }

    /// Ends it, and says where it was: nobody listens there then.
    pub async fn stop(mut self) -> String {
        self.tasks.shutdown().await;
        self.address.to_string()
    }

    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until `condition` holds of what it has seen.
    pub async fn until(&self, condition: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        within(seen.wait_for(condition)).await.unwrap().clone()
    }
}

async fn accept(listener: TcpListener, script: TcpScript, seen: Arc<watch::Sender<Seen>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.send_modify(|seen| seen.connections += 1);
        connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
    }
}

async fn serve(mut stream: TcpStream, script: TcpScript, seen: Arc<watch::Sender<Seen>>) {
    for on_connection in 1.. {
        let Some(request) = read(&mut stream).await else {
            break;
        };
        let mut number = 0;
        seen.send_modify(|seen| {
            seen.tcp.push(request.clone());
            number = seen.tcp.len();
        });
        let asked = Asked {
            number,
            on_connection,
            request,
        };
        let goes_on = match script(&asked) {
            Act::Reply(reply) => stream.write_all(&framed(&reply)).await.is_ok(),
            Act::Raw(octets) => stream.write_all(&octets).await.is_ok(),
            Act::Last(octets) => stream.write_all(&octets).await.is_err(),
            Act::Endless(mut octets) => {
                while stream.write_all(&octets).await.is_ok() {
                    octets = vec![0; 65_536];
                }
                false
            }
            Act::Reset => SockRef::from(&stream).set_linger(Some(ZERO)).is_err(),
            Act::Silence => true,
        };
        if !goes_on {
            break;
        }
    }
    drop(stream);
    seen.send_modify(|seen| seen.closed += 1);
}

/// A request as it comes on a stream, or its end.
pub async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut request = vec![0; length as usize];
    stream.read_exact(&mut request).await.ok()?;
    Some(request)
}

async fn datagrams(socket: UdpSocket, script: UdpScript, seen: Arc<watch::Sender<Seen>>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let mut number = 0;
        seen.send_modify(|seen| {
            seen.udp.push(buffer[..length].to_vec());
            number = seen.udp.len();
        });
        let asked = Asked {
            number,
            on_connection: 1,
            request: buffer[..length].to_vec(),
        };
        for reply in script(&asked) {
            socket.send_to(&reply, peer).await.unwrap();
        }
    }
}

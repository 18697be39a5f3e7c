//! A name server that says what a test wants, by UDP; what is too long for a datagram, by TCP too. Its messages are put
//! together by hand (RFC 1035 4).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

const TRUNCATED: u16 = 0x0200;
const SERVER_FAILURE: u16 = 2;
const NO_SUCH_NAME: u16 = 3;
const SOA: u16 = 6;
pub const SRV: u16 = 33;
pub const URI: u16 = 256;

/// What is said about a name.
#[derive(Clone, Debug)]
pub enum Say {
    /// SRV records: TTL, priority, weight, port, target.
    Srv(Vec<(u32, u16, u16, u16, &'static str)>),
    /// The same, and in a datagram only that there is more than fits.
    OverTcp(Vec<(u32, u16, u16, u16, &'static str)>),
    /// URI records: TTL, priority, weight, target.
    Uri(Vec<(u32, u16, u16, &'static str)>),
    /// No record of this type, which holds for so many seconds.
    Nothing(u32),
    Failure,
    Silence,
}

/// A running name server; what no script names does not exist.
pub struct Zone {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    _tasks: JoinSet<()>,
}

type Script = Arc<HashMap<&'static str, Say>>;

impl Zone {
    pub async fn start(script: impl IntoIterator<Item = (&'static str, Say)>) -> Self {
        Self::start_at("127.0.0.1:0", script).await
    }

    pub async fn start_at(
        address: &str,
        script: impl IntoIterator<Item = (&'static str, Say)>,
    ) -> Self {
        let script: Script = Arc::new(script.into_iter().collect());
        let (udp, tcp) = both(address).await;
        let address = tcp.local_addr().unwrap();
        let (asked, mut tasks) = (Arc::default(), JoinSet::new());
        tasks.spawn(datagrams(udp, Arc::clone(&script), Arc::clone(&asked)));
        tasks.spawn(streams(tcp, script));
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    /// Names and types that were asked for by UDP, sorted, each once.
    pub fn asked(&self) -> Vec<(String, u16)> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

/// The same port over both; one that is free over TCP may be somebody's over UDP.
async fn both(address: &str) -> (UdpSocket, TcpListener) {
    let mut tries = 0;
    loop {
        let tcp = TcpListener::bind(address).await.unwrap();
        match UdpSocket::bind(tcp.local_addr().unwrap()).await {
            Ok(udp) => return (udp, tcp),
            Err(error) => assert!(tries < 9, "{error}"),
        }
        tries += 1;
    }
}

async fn datagrams(socket: UdpSocket, script: Script, asked: Arc<Mutex<Vec<(String, u16)>>>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Query::read(&buffer[..length]);
        asked.lock().unwrap().push((query.name.clone(), query.kind));
        if let Some(answer) = query.answer(&script, true) {
            socket.send_to(&answer, peer).await.unwrap();
        }
    }
}

async fn streams(listener: TcpListener, script: Script) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Ok(length) = stream.read_u16().await {
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await.unwrap();
            let Some(answer) = Query::read(&query).answer(&script, false) else {
                break;
            };
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream
                .write_all(&[&length[..], &answer].concat())
                .await
                .unwrap();
        }
    }
}

struct Query {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// The question as it came.
    question: Vec<u8>,
}

impl Query {
    fn read(octets: &[u8]) -> Self {
        let (mut at, mut labels) = (12, Vec::new());
        while octets[at] != 0 {
            let label = &octets[at + 1..][..octets[at].into()];
            labels.push(String::from_utf8(label.to_vec()).unwrap());
            at += 1 + label.len();
        }
        Self {
            id: [octets[0], octets[1]],
            name: labels.join("."),
            kind: u16::from_be_bytes([octets[at + 1], octets[at + 2]]),
            question: octets[12..at + 5].to_vec(),
        }
    }

    fn answer(&self, script: &Script, by_udp: bool) -> Option<Vec<u8>> {
        let (mut flags, mut answers, mut authority) = (0, Vec::new(), Vec::new());
        match script.get(self.name.as_str()) {
            Some(Say::Silence) => return None,
            Some(Say::OverTcp(_)) if by_udp => flags = TRUNCATED,
            Some(Say::Srv(all) | Say::OverTcp(all)) if self.kind == SRV => {
                answers = all.iter().map(srv).collect();
            }
            Some(Say::Uri(all)) if self.kind == URI => answers = all.iter().map(uri).collect(),
            Some(Say::Nothing(ttl)) => authority = vec![soa(*ttl)],
            Some(Say::Failure) => flags = SERVER_FAILURE,
            _ => flags = NO_SUCH_NAME,
        }
        // What is too long for a datagram of RFC 6891 6.2.3 is for TCP.
        if by_udp && answers.concat().len() > 1_200 {
            (flags, answers) = (TRUNCATED, Vec::new());
        }
        let counts = [1, answers.len(), authority.len(), 0];
        let counts = counts.map(|count| u16::try_from(count).unwrap().to_be_bytes());
        // A response, recursion desired and available.
        let flags: u16 = 0x8180 | flags;
        let mut octets = [&self.id[..], &flags.to_be_bytes(), &counts.concat()].concat();
        octets.extend_from_slice(&self.question);
        octets.extend(answers.concat());
        octets.extend(authority.concat());
        Some(octets)
    }
}

/// A record about the name in the question (a pointer to it, RFC 1035 4.1.4), class IN.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let head = [0xc00c, kind, 1].map(u16::to_be_bytes).concat();
    [&head[..], &ttl.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

fn srv((ttl, priority, weight, port, target): &(u32, u16, u16, u16, &str)) -> Vec<u8> {
    let data = [*priority, *weight, *port].map(u16::to_be_bytes).concat();
    record(SRV, *ttl, &[data, name(target)].concat())
}

fn uri((ttl, priority, weight, target): &(u32, u16, u16, &str)) -> Vec<u8> {
    let data = [*priority, *weight].map(u16::to_be_bytes).concat();
    record(URI, *ttl, &[&data, target.as_bytes()].concat())
}

/// RFC 2308 5: the lesser of the record's TTL and its last field.
fn soa(ttl: u32) -> Vec<u8> {
    let numbers = [1, 7200, 900, 86_400, ttl].map(u32::to_be_bytes).concat();
    record(
        SOA,
        86_400,
        &[name("ns."), name("admin."), numbers].concat(),
    )
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> = labels
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat())
        .collect();
    octets.push(0);
    octets
}

//! Name servers where the resolver of this network looks: one that hears everything and never answers, as off the office
//! network, and one that says what a test wants. Messages are put together by hand (RFC 1035 4).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::netns::NAME_SERVER;

const A: u16 = 1;
const SOA: u16 = 6;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const URI: u16 = 256;
const NO_SUCH_NAME: u16 = 3;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    /// An address.
    A(Ipv4Addr),
    /// An address of IPv6.
    Aaaa(Ipv6Addr),
    /// A service: priority, port, host.
    Srv(u16, u16, &'static str),
    /// A URI (RFC 7553): priority, target.
    Uri(u16, String),
}

/// Listens by UDP and TCP and never answers.
pub(crate) struct SilentNameServer(NameServer);

impl SilentNameServer {
    /// Starts to listen; ends with the test's process.
    pub(crate) fn start() -> SilentNameServer {
        let server = NameServer::start();
        server.is_silent_about("");
        SilentNameServer(server)
    }

    /// The names asked for so far.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.0.queries()
    }
}

/// Answers by UDP and TCP as it was told to last.
pub(crate) struct NameServer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    zone: Mutex<Zone>,
    queries: Mutex<Vec<String>>,
    news: Condvar,
}

#[derive(Default)]
struct Zone {
    /// By name in lower case: TTL and records.
    names: HashMap<String, (u32, Vec<Record>)>,
    /// Ends of names that are not answered about.
    silent: Vec<String>,
}

impl NameServer {
    /// Starts to listen; no name exists. Ends with the test's process.
    pub(crate) fn start() -> NameServer {
        NameServer::at(NAME_SERVER.parse().unwrap())
    }

    /// The same at another address.
    pub(crate) fn at(address: IpAddr) -> NameServer {
        let shared = Arc::new(Shared::default());
        let udp = UdpSocket::bind((address, 53)).unwrap();
        let tcp = TcpListener::bind((address, 53)).unwrap();
        let by_udp = Arc::clone(&shared);
        thread::spawn(move || {
            let mut query = vec![0; 65536];
            while let Ok((length, peer)) = udp.recv_from(&mut query) {
                if let Some(answer) = by_udp.answer(&query[..length]) {
                    udp.send_to(&cut(answer), peer).unwrap();
                }
            }
        });
        let by_tcp = Arc::clone(&shared);
        thread::spawn(move || {
            for mut stream in tcp.incoming().map_while(Result::ok) {
                let by_tcp = Arc::clone(&by_tcp);
                thread::spawn(move || {
                    let mut query = vec![0; 65536];
                    while let Ok(length @ 3..) = stream.read(&mut query) {
                        if let Some(answer) = by_tcp.answer(&query[2..length]) {
                            let size = u16::try_from(answer.len()).unwrap().to_be_bytes();
                            stream.write_all(&[&size[..], &answer].concat()).unwrap();
                        }
                    }
                });
            }
        });
        NameServer(shared)
    }

    /// Has it say from now on that `name` stands for these records for `ttl` seconds.
    pub(crate) fn says(&self, name: &str, ttl: u32, records: &[Record]) {
        let mut zone = self.0.zone.lock().unwrap();
        zone.names
            .insert(name.to_lowercase(), (ttl, records.to_vec()));
    }

    /// Has it say from now on that there is no such name.
    pub(crate) fn forgets(&self, name: &str) {
        let mut zone = self.0.zone.lock().unwrap();
        zone.names.remove(&name.to_lowercase());
    }

    /// Has it never answer about names with this end.
    pub(crate) fn is_silent_about(&self, end: &str) {
        self.0.zone.lock().unwrap().silent.push(end.to_lowercase());
    }

    /// Has it answer about all names again.
    pub(crate) fn speaks(&self) {
        self.0.zone.lock().unwrap().silent.clear();
    }

    /// The names asked for so far, as they were spelled.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.0.queries.lock().unwrap().clone()
    }

    /// Has it answer about all names again.
    pub(crate) fn speaks_again(&self) {
        self.0.zone.lock().unwrap().silent.clear();
    }

    /// How often names that contain `word` were asked for so far.
    pub(crate) fn count(&self, word: &str) -> usize {
        let queries = self.queries();
        queries.iter().filter(|name| name.contains(word)).count()
    }

    /// Fails the test if names that contain `word` are asked for more than `count` times within this time.
    #[track_caller]
    pub(crate) fn rests(&self, word: &str, count: usize, within: Duration) {
        let has = |queries: &mut Vec<String>| {
            queries.iter().filter(|name| name.contains(word)).count() <= count
        };
        let queries = self.0.queries.lock().unwrap();
        let waited = self.0.news.wait_timeout_while(queries, within, has);
        let (queries, in_time) = waited.unwrap();
        assert!(in_time.timed_out(), "{word} more than {count}: {queries:?}");
    }

    /// Waits until names that contain `word` were asked for `count` times.
    #[track_caller]
    pub(crate) fn was_asked(&self, word: &str, count: usize, within: Duration) {
        let lacks = |queries: &mut Vec<String>| {
            queries.iter().filter(|name| name.contains(word)).count() < count
        };
        let queries = self.0.queries.lock().unwrap();
        let waited = self.0.news.wait_timeout_while(queries, within, lacks);
        let (queries, late) = waited.unwrap();
        assert!(!late.timed_out(), "{word} {count} times: {queries:?}");
    }
}

impl Shared {
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = question(query);
        self.queries.lock().unwrap().push(name.clone());
        self.news.notify_all();
        let (name, zone) = (name.to_lowercase(), self.zone.lock().unwrap());
        if zone.silent.iter().any(|silent| name.ends_with(silent)) {
            return None;
        }
        let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
        let question = query.get(12..end + 4)?;
        let (flags, answers) = match zone.names.get(&name) {
            Some((ttl, records)) => (0, records.iter().filter_map(|of| of.octets(kind, *ttl))),
            None => return Some(message(query, NO_SUCH_NAME, question, &[], &[soa()])),
        };
        let answers: Vec<_> = answers.collect();
        let authority = if answers.is_empty() {
            vec![soa()]
        } else {
            Vec::new()
        };
        Some(message(query, flags, question, &answers, &authority))
    }
}

impl Record {
    /// As an answer to a question for this type.
    fn octets(&self, kind: u16, ttl: u32) -> Option<Vec<u8>> {
        match self {
            Record::A(address) if kind == A => Some(record(A, ttl, &address.octets())),
            Record::Aaaa(address) if kind == AAAA => Some(record(AAAA, ttl, &address.octets())),
            Record::Srv(priority, port, host) if kind == SRV => {
                let numbers = [*priority, 0, *port].map(u16::to_be_bytes).concat();
                Some(record(SRV, ttl, &[numbers, labels(host)].concat()))
            }
            Record::Uri(priority, target) if kind == URI => {
                let numbers = [*priority, 0].map(u16::to_be_bytes).concat();
                Some(record(URI, ttl, &[&numbers, target.as_bytes()].concat()))
            }
            _ => None,
        }
    }
}

/// An answer for UDP: of what is too long there is only said that it is (RFC 1035 4.2.1, RFC 6891 6.2.5).
fn cut(mut answer: Vec<u8>) -> Vec<u8> {
    const MOST: usize = 1232;
    if answer.len() > MOST {
        let (_, end) = question(&answer);
        answer.truncate(end + 4);
        answer[2] |= 0x02;
        answer[6..12].fill(0);
    }
    answer
}

/// A response, recursion desired and available.
fn message(
    query: &[u8],
    flags: u16,
    question: &[u8],
    answers: &[Vec<u8>],
    authority: &[Vec<u8>],
) -> Vec<u8> {
    let counts = [1, answers.len(), authority.len(), 0];
    let counts = counts.map(|count| u16::try_from(count).unwrap().to_be_bytes());
    let head = [
        &query[..2],
        &(0x8180 | flags).to_be_bytes(),
        &counts.concat(),
    ];
    [
        head.concat(),
        question.to_vec(),
        answers.concat(),
        authority.concat(),
    ]
    .concat()
}

/// A record about the name in the question (a pointer to it, RFC 1035 4.1.4), class IN.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let head = [0xc00c, kind, 1].map(u16::to_be_bytes).concat();
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&head[..], &ttl.to_be_bytes(), &length, data].concat()
}

/// That there is nothing holds for a minute (RFC 2308 5).
fn soa() -> Vec<u8> {
    let numbers = [1_u32, 7200, 900, 86_400, 60]
        .map(u32::to_be_bytes)
        .concat();
    record(
        SOA,
        60,
        &[labels("ns.test"), labels("admin.test"), numbers].concat(),
    )
}

fn labels(name: &str) -> Vec<u8> {
    let label =
        |label: &str| [&[u8::try_from(label.len()).unwrap()][..], label.as_bytes()].concat();
    [name.split('.').flat_map(label).collect(), vec![0]].concat()
}

/// The name in the first question (RFC 1035 4.1.2), after the twelve octets of the header, and where its type begins.
fn question(query: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut rest = query.get(12..).unwrap_or_default();
    while let Some((&length @ 1..=63, tail)) = rest.split_first() {
        let Some((label, tail)) = tail.split_at_checked(usize::from(length)) else {
            break;
        };
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = tail;
    }
    (labels.join("."), query.len() - rest.len() + 1)
}

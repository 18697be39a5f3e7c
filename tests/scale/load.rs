//! A laptop that asks for much: as many requests at once as there are threads, each of them a new one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::messages::{Kind, REALM, framed, said};
use crate::support::process::PATIENCE;

/// Where `loopkdc run` listens.
const LOOPKDC: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 88);
/// The deadline of `loopkdc run`, and what a busy machine adds.
const DEADLINE: Duration = Duration::from_millis(9500);
/// Most requests of one thread.
const MOST: usize = 3000;
const KRB_ERR_RESPONSE_TOO_BIG: i64 = 52;

#[derive(Clone, Copy)]
enum Transport {
    Udp,
    Tcp,
}

/// What each thread asks, and how.
const THREADS: [(Kind, Transport); 8] = [
    (Kind::Plain, Transport::Udp),
    (Kind::Plain, Transport::Tcp),
    (Kind::Tgs, Transport::Udp),
    (Kind::Tgs, Transport::Tcp),
    (Kind::Preauth, Transport::Udp),
    (Kind::Preauth, Transport::Tcp),
    (Kind::Preauth, Transport::Udp),
    (Kind::Preauth, Transport::Tcp),
];

/// The requests that are under way at any time, and how many of them must not be sent twice.
pub(crate) const AT_ONCE: usize = THREADS.len();
pub(crate) const ONCE: usize = 4;

/// One request and what came of it.
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) request: Vec<u8>,
    /// Or else the verdict: a reset, over UDP after the word to come back over TCP.
    pub(crate) replied: bool,
    pub(crate) took: Duration,
}

/// Threads that ask.
pub(crate) struct Load {
    threads: Vec<JoinHandle<Vec<Asked>>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    enough: AtomicBool,
    answered: Mutex<usize>,
    news: Condvar,
}

impl Load {
    pub(crate) fn start() -> Self {
        let progress = Arc::<Progress>::default();
        let threads = THREADS.map(|(kind, transport)| {
            let progress = Arc::clone(&progress);
            thread::spawn(move || ask_on(kind, transport, &progress))
        });
        Self {
            threads: threads.into(),
            progress,
        }
    }

    /// Waits until `count` more requests were answered.
    pub(crate) fn goes_on(&self, count: usize) {
        let mut answered = self.progress.answered.lock().unwrap();
        let (goal, until) = (*answered + count, Instant::now() + PATIENCE);
        while *answered < goal {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {goal} are answered", *answered);
            answered = self.progress.news.wait_timeout(answered, left).unwrap().0;
        }
    }

    /// Ends it, and returns all that was asked.
    pub(crate) fn end(self) -> Vec<Asked> {
        self.progress.enough.store(true, Ordering::SeqCst);
        let threads = self.threads.into_iter();
        threads.flat_map(|thread| thread.join().unwrap()).collect()
    }
}

fn ask_on(kind: Kind, transport: Transport, progress: &Progress) -> Vec<Asked> {
    let mut asked = Vec::new();
    while asked.len() < MOST && !progress.enough.load(Ordering::SeqCst) {
        let request = kind.request(REALM).bytes;
        let began = Instant::now();
        let replied = match transport {
            Transport::Udp => over_udp(&request),
            Transport::Tcp => over_tcp(&request),
        };
        let took = began.elapsed();
        assert!(took < DEADLINE, "{kind:?} waited for {took:?}");
        asked.push(Asked {
            kind,
            request,
            replied,
            took,
        });
        *progress.answered.lock().unwrap() += 1;
        progress.news.notify_all();
    }
    asked
}

fn over_udp(request: &[u8]) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(LOOPKDC).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send(request).unwrap();
    let mut reply = vec![0; 65_536];
    let size = socket.recv(&mut reply).expect("an answer in time");
    let is_error = reply[0] == 0x7e;
    let is_verdict = is_error && said(&reply[..size]).code == KRB_ERR_RESPONSE_TOO_BIG;
    // What a client does then.
    !is_verdict || over_tcp(request)
}

fn over_tcp(request: &[u8]) -> bool {
    let mut stream = TcpStream::connect(LOOPKDC).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&framed(request)).unwrap();
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
        Err(error) => panic!("neither a reply nor a reset: {error}"),
    }
    let mut reply = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut reply).unwrap();
    true
}

//! What stands in front of the KDC: it counts each request by its octets, and can hold them all back.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::PATIENCE;

/// TCP on one side, with a backlog that krb5kdc has not, and UDP to the KDC on the other.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    kdc: SocketAddr,
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    seen: HashMap<Vec<u8>, usize>,
    closed: bool,
    held: usize,
}

impl Recorder {
    /// Passes on what comes to `address`, from threads that end with the test's process.
    pub(crate) fn start(address: SocketAddr, kdc: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let shared = Arc::new(Shared {
            kdc,
            state: Mutex::default(),
            news: Condvar::new(),
        });
        let each = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let each = Arc::clone(&each);
                thread::spawn(move || each.serve(stream));
            }
        });
        Self { shared }
    }

    /// From now on requests are counted and not passed on; returns once `count` of them wait.
    pub(crate) fn hold(&self, count: usize) {
        let mut state = self.shared.state.lock().unwrap();
        state.closed = true;
        let until = Instant::now() + PATIENCE;
        while state.held < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} wait", state.held);
            state = self.shared.news.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Passes on what was held back, and all that comes.
    pub(crate) fn release(&self) {
        self.shared.state.lock().unwrap().closed = false;
        self.shared.news.notify_all();
    }

    /// How often this request came.
    pub(crate) fn count(&self, request: &[u8]) -> usize {
        let state = self.shared.state.lock().unwrap();
        state.seen.get(request).copied().unwrap_or(0)
    }
}

impl Shared {
    /// Serves one connection to its end.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let kdc = UdpSocket::bind("127.0.0.1:0").unwrap();
        kdc.connect(self.kdc).unwrap();
        kdc.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).ok()?;
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request).ok()?;
            self.record(&request);
            kdc.send(&request).unwrap();
            let mut reply = vec![0; 65_536];
            let size = kdc.recv(&mut reply).expect("the KDC replies");
            let framed = [&(size as u32).to_be_bytes()[..], &reply[..size]].concat();
            stream.write_all(&framed).ok()?;
        }
    }

    fn record(&self, request: &[u8]) {
        let mut state = self.state.lock().unwrap();
        *state.seen.entry(request.to_vec()).or_default() += 1;
        state.held += 1;
        self.news.notify_all();
        while state.closed {
            state = self.news.wait(state).unwrap();
        }
        state.held -= 1;
    }
}

//! What stands in front of the KDC: it counts each request by its octets, and can hold requests or their answers back.

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

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    seen: HashMap<Vec<u8>, usize>,
    hold: Hold,
    held: usize,
}

/// What waits.
#[derive(Clone, Copy, Default)]
enum Hold {
    #[default]
    Nothing,
    /// Requests, before the KDC sees them.
    Requests,
    /// The answers to these requests, which the KDC has carried out.
    Answers(fn(&[u8]) -> bool),
}

impl Recorder {
    /// Passes on what comes to `address`, from threads that end with the test's process.
    pub(crate) fn start(address: SocketAddr, kdc: SocketAddr) -> Self {
        let shared = Arc::default();
        let recorder = Self { shared };
        recorder.stand(address, kdc);
        recorder
    }

    /// Stands at another address too, of the host that this thread is on, and keeps one record of all.
    pub(crate) fn stand(&self, address: SocketAddr, kdc: SocketAddr) {
        let listener = TcpListener::bind(address).unwrap();
        let each = Arc::clone(&self.shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let each = Arc::clone(&each);
                thread::spawn(move || each.serve(stream, kdc));
            }
        });
    }

    /// From now on requests are counted and not passed on; returns once `count` of them wait.
    pub(crate) fn hold(&self, count: usize) {
        self.shared.state.lock().unwrap().hold = Hold::Requests;
        self.holds(count);
    }

    /// From now on these requests are counted and passed on, and their answers are not.
    pub(crate) fn hold_answers(&self, to: fn(&[u8]) -> bool) {
        self.shared.state.lock().unwrap().hold = Hold::Answers(to);
    }

    /// Returns once `count` requests or answers wait.
    pub(crate) fn holds(&self, count: usize) {
        let mut state = self.shared.state.lock().unwrap();
        let until = Instant::now() + PATIENCE;
        while state.held < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} wait", state.held);
            state = self.shared.news.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Passes on what was held back, and all that comes.
    pub(crate) fn release(&self) {
        self.shared.state.lock().unwrap().hold = Hold::Nothing;
        self.shared.news.notify_all();
    }

    /// How often this request came.
    pub(crate) fn count(&self, request: &[u8]) -> usize {
        let state = self.shared.state.lock().unwrap();
        state.seen.get(request).copied().unwrap_or(0)
    }

    /// The requests so far, and how often each of them came.
    pub(crate) fn seen(&self) -> HashMap<Vec<u8>, usize> {
        self.shared.state.lock().unwrap().seen.clone()
    }
}

impl Shared {
    /// Serves one connection to its end.
    fn serve(&self, mut stream: TcpStream, kdc: SocketAddr) -> Option<()> {
        let own = UdpSocket::bind("127.0.0.1:0").unwrap();
        own.connect(kdc).unwrap();
        own.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length).ok()?;
            let mut request = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request).ok()?;
            self.record(&request);
            own.send(&request).unwrap();
            let mut reply = vec![0; 65_536];
            let size = own.recv(&mut reply).expect("the KDC replies");
            self.wait_while(|hold| matches!(hold, Hold::Answers(to) if to(&request)));
            let framed = [&(size as u32).to_be_bytes()[..], &reply[..size]].concat();
            stream.write_all(&framed).ok()?;
        }
    }

    fn record(&self, request: &[u8]) {
        let mut state = self.state.lock().unwrap();
        *state.seen.entry(request.to_vec()).or_default() += 1;
        drop(state);
        self.wait_while(|hold| matches!(hold, Hold::Requests));
    }

    fn wait_while(&self, held: impl Fn(Hold) -> bool) {
        let mut state = self.state.lock().unwrap();
        state.held += 1;
        self.news.notify_all();
        while held(state.hold) {
            state = self.news.wait(state).unwrap();
        }
        state.held -= 1;
    }
}

//! A name server that hears everything and never answers, as off the office network.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use super::netns::NAME_SERVER;

/// Listens by UDP and TCP where the resolver of this network looks.
pub(crate) struct SilentNameServer {
    queries: Arc<Mutex<Vec<String>>>,
}

impl SilentNameServer {
    /// Starts to listen; ends with the test's process.
    pub(crate) fn start() -> SilentNameServer {
        let queries = Arc::new(Mutex::new(Vec::new()));
        let udp = UdpSocket::bind((NAME_SERVER, 53)).unwrap();
        let tcp = TcpListener::bind((NAME_SERVER, 53)).unwrap();
        let heard = Arc::clone(&queries);
        thread::spawn(move || {
            let mut query = vec![0; 65536];
            while let Ok(length) = udp.recv(&mut query) {
                heard.lock().unwrap().push(question(&query[..length]));
            }
        });
        let heard = Arc::clone(&queries);
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                thread::spawn(move || {
                    let mut stream = stream;
                    let mut query = vec![0; 65536];
                    while let Ok(length @ 3..) = stream.read(&mut query) {
                        heard.lock().unwrap().push(question(&query[2..length]));
                    }
                });
            }
        });
        SilentNameServer { queries }
    }

    /// The names asked for so far.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }
}

/// The name in the first question (RFC 1035 4.1.2), after the twelve octets of the header.
fn question(query: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = query.get(12..).unwrap_or_default();
    while let Some((&length @ 1..=63, tail)) = rest.split_first() {
        let Some((label, tail)) = tail.split_at_checked(usize::from(length)) else {
            break;
        };
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = tail;
    }
    labels.join(".")
}

//! A TCP relay that counts, and that may hold back what the far side answers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A relay on a free port of 127.0.0.1; its threads end with the test's process.
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    delay: Delay,
}

/// How long each answer is held back.
type Delay = Arc<Mutex<Duration>>;

impl Relay {
    /// Passes everything to `target`, each answer `delay` later.
    pub(crate) fn start(target: SocketAddr, delay: Duration) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let delay = Delay::new(delay.into());
        let (counter, of_answers) = (Arc::clone(&connections), Arc::clone(&delay));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::SeqCst);
                join(near, target, &of_answers);
            }
        });
        Relay {
            address,
            connections,
            delay,
        }
    }

    /// From now on each answer comes so much later, also on the connections that there are.
    pub(crate) fn delays(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn join(near: TcpStream, target: SocketAddr, delay: &Delay) {
    let delay = Arc::clone(delay);
    // A far side that is down shows as a connection that closes at once.
    let Ok(far) = TcpStream::connect(target) else {
        return;
    };
    let (near_back, far_back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    thread::spawn(move || pass(near, far, &Delay::default()));
    thread::spawn(move || pass(far_back, near_back, &delay));
}

fn pass(mut from: TcpStream, mut to: TcpStream, delay: &Delay) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let delay = *delay.lock().unwrap();
        thread::sleep(delay);
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

//! Clients that keep one AS-REQ each under way, over UDP.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::{Outcome, read};

/// How long after the end of a round an answer still counts as one.
const GRACE: Duration = Duration::from_secs(5);
/// The tags of req-body's nonce with a value of four octets (RFC 4120 5.4.1).
const NONCE: [u8; 4] = [0xa7, 0x06, 0x02, 0x04];

#[derive(Args)]
pub(crate) struct Options {
    /// The KDC to ask
    #[arg(long)]
    target: SocketAddr,
    /// An AS-REQ as a client sent it
    #[arg(long)]
    request: PathBuf,
    /// What a KDC answered to it: what counts as an answer looks like this one
    #[arg(long)]
    reply: PathBuf,
    #[arg(long, default_value_t = 32)]
    clients: u16,
    #[arg(long)]
    seconds: f64,
    /// The first nonce: a range that no other round has used
    #[arg(long)]
    nonce: u32,
}

struct Round {
    target: SocketAddr,
    template: Vec<u8>,
    nonce_at: Range<usize>,
    nonce: AtomicU32,
    reply: Vec<u8>,
    end: Instant,
}

/// What one client saw; a client whose answer is lost sends nothing more, so a loss costs rate too.
#[derive(Default)]
struct Seen {
    micros: Vec<u32>,
    identical: u64,
    wrong: u64,
    lost: u64,
}

/// Runs one round and prints its figures in one line.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    // One thread: these clients share their two cores with what they measure.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(fire(options))
}

async fn fire(options: &Options) -> Outcome<()> {
    let template = read(&options.request)?;
    let start = Instant::now();
    let round = Arc::new(Round {
        target: options.target,
        nonce_at: nonce_at(&template)?,
        template,
        nonce: AtomicU32::new(options.nonce),
        reply: read(&options.reply)?,
        end: start + Duration::from_secs_f64(options.seconds),
    });
    let mut clients = JoinSet::new();
    for _ in 0..options.clients {
        clients.spawn(client(Arc::clone(&round)));
    }
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let seen = seen??;
        all.micros.extend(seen.micros);
        all.identical += seen.identical;
        all.wrong += seen.wrong;
        all.lost += seen.lost;
    }
    print(&mut all, options.seconds);
    Ok(())
}

/// Where the four octets of the nonce are; a captured nonce with another length will not do.
fn nonce_at(request: &[u8]) -> Outcome<Range<usize>> {
    let mut found = request
        .windows(NONCE.len())
        .enumerate()
        .filter(|(_, octets)| *octets == NONCE);
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at + NONCE.len()..at + 2 * NONCE.len()),
        _ => Err("the request has no nonce of four octets, or more than one".into()),
    }
}

async fn client(round: Arc<Round>) -> Outcome<Seen> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
    socket.connect(round.target).await?;
    let (mut request, mut buffer) = (round.template.clone(), vec![0; 65536]);
    let mut seen = Seen::default();
    let last = tokio::time::Instant::from_std(round.end + GRACE);
    let asking = async {
        loop {
            let sent = Instant::now();
            if sent >= round.end {
                return Outcome::Ok(());
            }
            let nonce = round.nonce.fetch_add(1, Relaxed).to_be_bytes();
            request
                .get_mut(round.nonce_at.clone())
                .ok_or("no nonce")?
                .copy_from_slice(&nonce);
            socket.send(&request).await?;
            let length = socket.recv(&mut buffer).await?;
            seen.record(
                &round.reply,
                buffer.get(..length).unwrap_or_default(),
                sent.elapsed(),
            );
        }
    };
    // One timer for the whole round: a timer for each request would cost as much as sending it.
    match timeout_at(last, asking).await {
        Ok(done) => done?,
        Err(_) => seen.lost += 1,
    }
    Ok(seen)
}

impl Seen {
    fn record(&mut self, expected: &[u8], reply: &[u8], took: Duration) {
        if reply == expected {
            self.identical += 1;
        } else if !alike(expected, reply) {
            self.wrong += 1;
            return;
        }
        self.micros
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }
}

/// The same message but for its times and what is encrypted: not, say, RESPONSE_TOO_BIG.
fn alike(expected: &[u8], reply: &[u8]) -> bool {
    reply.first() == expected.first() && reply.len().abs_diff(expected.len()) <= 8
}

fn print(all: &mut Seen, seconds: f64) {
    all.micros.sort_unstable();
    let count = all.micros.len();
    let percentile = |hundredth: usize| {
        all.micros
            .get(count * hundredth / 100)
            .copied()
            .unwrap_or(0)
    };
    println!(
        "answered={count} seconds={seconds} p50={} p99={} slowest={} identical={} wrong={} lost={}",
        percentile(50),
        percentile(99),
        all.micros.last().copied().unwrap_or(0),
        all.identical,
        all.wrong,
        all.lost,
    );
}

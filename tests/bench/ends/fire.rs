//! Clients that keep one AS-REQ each under way.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use crate::Outcome;
use crate::line::{Judgement, Line, Target, Templates};

/// How long after the end of a round an answer still counts as one.
const GRACE: Duration = Duration::from_secs(5);
/// How long all clients together may take to make the connections that they keep.
const SET_UP: Duration = Duration::from_secs(30);
/// Connections that are made at once.
const AT_ONCE: usize = 4;
/// A client that lost this many answers stops: a target that is gone must not be asked for ever.
const LOSSES: u64 = 3;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    #[arg(long, default_value_t = 32)]
    clients: u16,
    #[arg(long)]
    seconds: f64,
    /// The first nonce: a range that no other round has used
    #[arg(long)]
    nonce: u32,
    /// How long that range is: as many requests are made at most
    #[arg(long, default_value_t = u32::MAX)]
    requests: u32,
}

struct Round {
    target: Templates,
    nonces: AtomicU32,
    last_nonce: u32,
    turns: Semaphore,
    ready: Barrier,
    seconds: Duration,
    end: OnceLock<Instant>,
}

/// What one client saw; a client whose answer is lost waits no less than the others, so a loss costs rate too.
#[derive(Default)]
struct Seen {
    micros: Vec<u32>,
    identical: u64,
    wrong: u64,
    lost: u64,
    why: Option<String>,
}

/// Runs one round and prints its figures in one line.
pub(crate) async fn run(options: &Options) -> Outcome<()> {
    let round = Arc::new(Round {
        target: options.target.templates()?,
        nonces: AtomicU32::new(options.nonce),
        last_nonce: options.nonce.saturating_add(options.requests),
        turns: Semaphore::new(AT_ONCE),
        ready: Barrier::new(options.clients.into()),
        seconds: Duration::from_secs_f64(options.seconds),
        end: OnceLock::new(),
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
        all.why = all.why.or(seen.why);
    }
    print(&mut all, options.seconds);
    Ok(())
}

async fn client(round: Arc<Round>) -> Outcome<Seen> {
    let mut line = timeout(SET_UP, round.set_up()).await??;
    round.ready.wait().await;
    let end = *round.end.get_or_init(|| Instant::now() + round.seconds);
    let mut seen = Seen::default();
    // One timer for the whole round: a timer for each request would cost as much as sending it.
    let asking = round.ask_until(end, &mut line, &mut seen);
    let last = tokio::time::Instant::from_std(end + GRACE);
    match timeout_at(last, asking).await {
        Ok(done) => done?,
        Err(_) => seen.lose("no answer"),
    }
    Ok(seen)
}

impl Round {
    /// What lasts is made, and used once: some servers give a connection their attention until its first request.
    async fn set_up(&self) -> Outcome<Line> {
        let _turn = self.turns.acquire().await?;
        let mut line = Line::open(&self.target).await?;
        if self.target.over.lasts() {
            let mut request = self.target.request().to_vec();
            self.target
                .number(&mut request, self.nonces.fetch_add(1, Relaxed))?;
            line.ask(&self.target, &request).await?;
        }
        Ok(line)
    }

    async fn ask_until(&self, end: Instant, line: &mut Line, seen: &mut Seen) -> Outcome<()> {
        let mut request = self.target.request().to_vec();
        loop {
            let (sent, nonce) = (Instant::now(), self.nonces.fetch_add(1, Relaxed));
            if sent >= end || nonce >= self.last_nonce || seen.lost >= LOSSES {
                return Ok(());
            }
            self.target.number(&mut request, nonce)?;
            match line.ask(&self.target, &request).await {
                Ok(reply) => seen.record(self.target.judge(&reply), sent.elapsed()),
                Err(error) => {
                    seen.lose(&error.to_string());
                    *line = Line::open(&self.target).await?;
                }
            }
        }
    }
}

impl Seen {
    fn record(&mut self, judgement: Option<Judgement>, took: Duration) {
        match judgement {
            Some(Judgement::Identical) => self.identical += 1,
            Some(Judgement::Alike) => {}
            None => {
                self.wrong += 1;
                return;
            }
        }
        self.micros
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    fn lose(&mut self, why: &str) {
        self.lost += 1;
        self.why.get_or_insert_with(|| why.to_owned());
    }
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
    if let Some(why) = &all.why {
        println!("the first loss: {why}");
    }
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

//! Clients that each keep a connection open: idle at first, and after a request of each.

use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::line::{Line, Target, Templates};

/// Handshakes and requests under way at once.
const AT_ONCE: usize = 16;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    connections: u16,
    /// The first nonce
    #[arg(long)]
    nonce: u32,
}

/// Opens the connections, asks over each at every SIGUSR1, and holds them until SIGTERM.
pub(crate) async fn run(options: &Options) -> Outcome<()> {
    let templates = Arc::new(options.target.templates()?);
    let mut asked = signal(SignalKind::user_defined1())?;
    let mut held = open(&templates, options.connections).await?;
    println!("open={}", held.len());
    let mut nonce = options.nonce;
    while asked.recv().await.is_some() {
        held = ask(&templates, held, nonce).await?;
        nonce += u32::from(options.connections);
        println!("asked={}", held.len());
    }
    Ok(())
}

async fn open(templates: &Arc<Templates>, connections: u16) -> Outcome<Vec<Line>> {
    let (mut opening, turns) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for _ in 0..connections {
        let (templates, turns) = (Arc::clone(templates), Arc::clone(&turns));
        opening.spawn(async move {
            let _turn = turns.acquire().await?;
            Line::open(&templates).await
        });
    }
    opening.join_all().await.into_iter().collect()
}

async fn ask(templates: &Arc<Templates>, held: Vec<Line>, nonce: u32) -> Outcome<Vec<Line>> {
    let (mut asking, turns) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for (mut line, nonce) in held.into_iter().zip(nonce..) {
        let (templates, turns) = (Arc::clone(templates), Arc::clone(&turns));
        asking.spawn(async move {
            let _turn = turns.acquire().await?;
            let mut request = templates.request().to_vec();
            templates.number(&mut request, nonce)?;
            let reply = line.ask(&templates, &request).await?;
            match templates.judge(&reply) {
                Some(_) => Ok(line),
                None => Err("a wrong reply".into()),
            }
        });
    }
    asking.join_all().await.into_iter().collect()
}

//! The ends of `tests/bench/load` and `tests/bench/gateway`, which start them and print what they measure.
//!
//! `stub` is a KDC proxy that costs next to nothing, and `kdc` a KDC that does: each answers everything with one reply, at
//! once. `fire` is the clients: each sends an AS-REQ that differs from all others as soon as its last was answered, so that
//! nobody's retransmit cache helps. `hold` is clients that are there and say next to nothing.

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

mod fire;
mod hold;
mod kdc;
mod line;
mod stub;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Part {
    Stub(stub::Options),
    Kdc(kdc::Options),
    Fire(fire::Options),
    Hold(hold::Options),
}

fn main() -> Outcome<()> {
    let part = Cli::parse().part;
    // One thread for each: on two cores a second one costs the others more than it gives.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match part {
        Some(Part::Stub(options)) => runtime.block_on(stub::run(&options)),
        Some(Part::Kdc(options)) => runtime.block_on(kdc::run(&options)),
        Some(Part::Fire(options)) => runtime.block_on(fire::run(&options)),
        Some(Part::Hold(options)) => runtime.block_on(hold::run(&options)),
        None => {
            println!("tests/bench/load and gateway run this one, with a KDC and loopkdc beside it");
            Ok(())
        }
    }
}

/// A file's octets; the error says which file.
fn read(path: &PathBuf) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

//! The two ends of `tests/bench/load`, which starts them and prints what they measure.
//!
//! `stub` is a KDC proxy that costs next to nothing: it answers every POST with one reply, at once.
//! `fire` is the clients: each sends an AS-REQ that differs from all others as soon as its last was
//! answered, so that nobody's lookaside helps.

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

mod fire;
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
    Fire(fire::Options),
}

fn main() -> Outcome<()> {
    match Cli::parse().part {
        Some(Part::Stub(options)) => stub::run(&options),
        Some(Part::Fire(options)) => fire::run(&options),
        None => {
            println!("tests/bench/load runs this one, with a KDC and loopkdc beside it");
            Ok(())
        }
    }
}

/// A file's octets; the error says which file.
fn read(path: &PathBuf) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

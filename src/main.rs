//! The binary: parse, run one command, print an error once, exit code.

use std::process::ExitCode;

use clap::Parser;
use loopkdc::cli::{Cli, Command, RunArgs};
use loopkdc::config::Config;
use loopkdc::failure::{Exit, Failure};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let done = match &cli.command {
        Command::Run(args) => run(args),
        Command::Check(args) => loopkdc::check::check(&args.sources()),
    };
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit().into()
        }
    }
}

/// The seam of the daemon.
fn run(args: &RunArgs) -> Result<(), Failure> {
    let _config = Config::load(&args.sources())?;
    Ok(())
}

/// `--help` and `--version` are errors to clap, too; only they go to stdout.
fn usage(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        eprint!("loopkdc: {}", error.render());
        return Exit::Config;
    }
    // A reader that is gone needs no help.
    let _ = error.print();
    Exit::Ok
}

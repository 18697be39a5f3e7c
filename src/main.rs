//! The binary: parse, run one command, print an error once, exit code.

use std::process::ExitCode;

use clap::Parser;
use loopkdc::cli::{self, CheckArgs, Cli, Command, GatewayArgs, ImportArgs, Krb5ConfArgs, RunArgs};
use loopkdc::daemon::logging;
use loopkdc::operate::{check, doctor, import, krb5_conf, status, terminal};
use loopkdc::relay::failure::{Exit, Failure};
use loopkdc::{gateway, shim};

fn main() -> ExitCode {
    let done = Cli::try_parse().map_or_else(|error| unparsed(&error), |cli| command(&cli.command));
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::print_error(&failure);
            failure.exit().into()
        }
    }
}

fn command(command: &Command) -> Result<Exit, Failure> {
    let done = match command {
        Command::Doctor(args) => return doctor::doctor(&args.question()),
        Command::Run(args) => run(args),
        Command::Gateway(args) => gateway(args),
        Command::Check(args) => check(args),
        Command::Status(args) => status::status(args.output(), args.socket.as_deref()),
        Command::Import(ImportArgs { file }) => import::import(file),
        Command::Krb5Conf(args) => krb5_conf(args),
        #[cfg(feature = "negotiate")]
        Command::Gssapi(args) => {
            loopkdc::relay::upstream::gssapi::serve(&args.service, args.principal.as_deref())
        }
    };
    done.map(|()| Exit::Ok)
}

fn run(args: &RunArgs) -> Result<(), Failure> {
    logging::init(args.log.into());
    shim::run(&args.sources())
}

fn gateway(args: &GatewayArgs) -> Result<(), Failure> {
    logging::init(args.log.into());
    gateway::gateway(args.config.as_deref())
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    if args.gateway {
        check::gateway(args.config.as_deref())
    } else {
        check::tunnel(&args.sources())
    }
}

fn krb5_conf(args: &Krb5ConfArgs) -> Result<(), Failure> {
    match (args.install, args.remove) {
        (_, true) => krb5_conf::remove(),
        (true, false) => krb5_conf::install(&args.sources(), args.form()),
        (false, false) => krb5_conf::print(&args.sources(), args.form()),
    }
}

/// To clap, `--help` and `--version` are errors, too: those that go to stdout.
fn unparsed(error: &clap::Error) -> Result<Exit, Failure> {
    if error.use_stderr() {
        return Err(cli::usage(error));
    }
    // A reader that is gone needs no help.
    let _ = error.print();
    Ok(Exit::Ok)
}

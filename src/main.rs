//! The binary: parse, run one command, print an error once, exit code.

use std::process::ExitCode;

use clap::Parser;
use loopkdc::cli::{self, Cli, Command, Krb5ConfArgs};
use loopkdc::daemon::logging;
use loopkdc::operate::{check, doctor, import, krb5_conf, status, terminal};
use loopkdc::relay::failure::{Exit, Failure};
use loopkdc::{gateway, shim};

fn main() -> ExitCode {
    let done = Cli::try_parse().map_or_else(|error| unparsed(&error), |cli| command(cli.command));
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            terminal::print_error(&failure);
            failure.exit().into()
        }
    }
}

fn command(command: Command) -> Result<Exit, Failure> {
    let done = match command {
        Command::Doctor(args) => return doctor::doctor(&args.question()),
        Command::Run(args) => {
            logging::init(args.log);
            shim::run(&args.sources())
        }
        Command::Gateway(args) => {
            logging::init(args.log);
            gateway::gateway(args.config.as_deref())
        }
        Command::Check(args) if args.gateway => check::gateway(args.config.as_deref()),
        Command::Check(args) => check::tunnel(&cli::sources(args.config)),
        Command::Status(args) if args.watch => status::watch(args.socket.as_deref()),
        Command::Status(args) if args.json => status::print_json(args.socket.as_deref()),
        Command::Status(args) => status::print(args.socket.as_deref()),
        Command::Import(args) => import::import(&args.file),
        Command::Krb5Conf(args) => krb5_conf(args),
        #[cfg(feature = "negotiate")]
        Command::Gssapi(args) => {
            loopkdc::relay::upstream::gssapi::serve(&args.service, args.principal.as_deref())
        }
    };
    done.map(|()| Exit::Ok)
}

fn krb5_conf(args: Krb5ConfArgs) -> Result<(), Failure> {
    if args.remove {
        return krb5_conf::remove();
    }
    let (form, sources) = (args.form(), cli::sources(args.config));
    if args.install {
        return krb5_conf::install(&sources, form);
    }
    krb5_conf::print(&sources, form)
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

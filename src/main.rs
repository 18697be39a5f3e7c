//! The binary: parse, run one command, print an error once, exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use loopkdc::cli::{self, Cli, Command, Krb5ConfArgs, RunArgs};
use loopkdc::config::Sources;
use loopkdc::daemon::logging;
use loopkdc::operate::{check, doctor, import, krb5_conf, status, terminal, wait};
use loopkdc::relay::failure::{Exit, Failure};
use loopkdc::relay::status::DaemonKind;
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
        Command::Run(args) => {
            logging::init(args.log);
            let reachable = args.reachable_file();
            shim::run(&args.sources(), reachable.as_deref())
        }
        Command::Gateway { config, log } => {
            logging::init(log);
            gateway::gateway(config.as_deref())
        }
        Command::Check { config, gateway } if gateway => check::gateway(config.as_deref()),
        Command::Check { config, .. } => check::run(&Sources::of_file(config)),
        Command::Status {
            gateway,
            json,
            watch,
            socket,
        } => {
            let show = match (watch, json) {
                (true, _) => status::watch,
                (_, true) => status::print_json,
                _ => status::print,
            };
            show(kind(gateway), socket.as_deref())
        }
        Command::Wait {
            realm,
            timeout,
            config,
        } => {
            let limit = timeout.map(Duration::from_secs);
            wait::wait(realm.as_deref(), limit, config.as_deref())
        }
        Command::Doctor {
            realm,
            gateway,
            json,
            config,
        } => {
            let (kind, realm) = (kind(gateway), realm.as_deref());
            return doctor::doctor(kind, realm, config, json, RunArgs::read_words);
        }
        Command::Import { file, realm } => import::import(&file, realm.as_deref()),
        Command::Krb5Conf(args) => krb5_conf(args),
        #[cfg(feature = "negotiate")]
        Command::Gssapi { service, principal } => {
            loopkdc::relay::upstream::gssapi::serve(&service, principal.as_deref())
        }
    };
    done.map(|()| Exit::Ok)
}

/// Which daemon is asked about.
fn kind(is_gateway: bool) -> DaemonKind {
    if is_gateway {
        DaemonKind::Gateway
    } else {
        DaemonKind::Run
    }
}

fn krb5_conf(args: Krb5ConfArgs) -> Result<(), Failure> {
    if let Some(realms) = &args.sssd {
        return krb5_conf::write_for_sssd(realms);
    }
    if args.remove {
        return krb5_conf::remove();
    }
    let (form, install) = (args.form(), args.install);
    let sources = Sources::of_file(args.config);
    if install {
        krb5_conf::install(&sources, form)
    } else {
        krb5_conf::print(&sources, form)
    }
}

/// To clap, `--help` and `--version` are errors, too: those that go to stdout. Who types the name alone is told what there is.
fn unparsed(error: &clap::Error) -> Result<Exit, Failure> {
    let is_bare = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !is_bare {
        return Err(cli::usage(error));
    }
    // A reader that is gone needs no help.
    let _ = error.print();
    Ok(if is_bare { Exit::Config } else { Exit::Ok })
}

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::config::Sources;
use crate::operate::krb5_conf::{Form, Placement};
use crate::relay::failure::{Exit, Failure};

const AFTER_HELP: &str = "\
The file is that of --config, else config.toml (gateway.toml) in the user's
configuration folder for loopkdc, else in /etc/loopkdc; run --realm needs none.

Exit codes: 0 done, 10 to 22 what doctor found, 69 no daemon answers, 70 a bug,
75 the time is up, 77 no permission, 78 bad configuration or usage";

const STATUS_HELP: &str = "\
The usual places: loopkdc/status.sock (loopkdc-gateway/status.sock) in
$XDG_RUNTIME_DIR, then in /run. Under [listen], status-socket sets another and
status-mode who may read it; that is unix-mode for a gateway.
KDC_ERR_PREAUTH_REQUIRED (25) is no failure: the KDC wants a password, which
comes next.

Exit codes: 0 shown, whatever the problems, or systemd waits for its first
client, 69 no daemon answers, 77 no permission, 78 bad usage";

const WAIT_HELP: &str = "\
It asks the daemon as a client does, for a ticket in the name of nobody and
without a password: at once, at each change of the network, and else ever more
seldom. A daemon that does not run is waited for.
  loopkdc wait --timeout 60 && kinit -R

Exit codes: 0 reachable, 75 the time is up, 78 bad configuration or usage";

const IMPORT_HELP: &str = "\
The configuration goes to stdout, and what of the file was left out to stderr:
  loopkdc import /etc/krb5.conf >config.toml
  loopkdc check --config config.toml";

const KRB5_CONF_HELP: &str = "\
The stanzas send each realm of the configuration, and its aliases, to where
loopkdc run listens. --install keeps them in /etc/krb5.conf, or, if that begins
with includes, in /etc/krb5.conf.d/00-loopkdc.conf; --remove undoes exactly that.";

const DOCTOR_HELP: &str = "\
It asks for tickets in the name of nobody and for no password. It takes at most
5 s and the realm's deadline, whether or not the daemon runs.

The exit code is 0 if there is no fault, else that of the first layer with one:
10 configuration  11 krb5.conf  12 ports      13 daemon    14 names
15 tcp            16 tls        17 http       18 envelope  19 kdc
20 clock          21 kpasswd    22 estimate";

/// Kerberos from anywhere: a KDC on loopback that reaches real ones over HTTPS
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the KDC and password services on loopback, in the foreground
    Run(RunArgs),
    /// Serve a KDC proxy over HTTPS before real KDCs, in the foreground
    Gateway {
        /// Read this file, not the usual ones
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Write this much to stderr: off, error, warn, info or debug. The access log is none of it
        #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level(), hide_possible_values = true)]
        log: LevelFilter,
    },
    /// Validate the configuration; show where each realm would go
    Check {
        /// Read this file, not the usual ones
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The configuration of the gateway, not that of run
        #[arg(long)]
        gateway: bool,
    },
    /// Show how a running daemon is, and what to do about problems
    #[command(after_help = STATUS_HELP)]
    Status {
        /// The daemon is `loopkdc gateway`, not `loopkdc run`
        #[arg(long)]
        gateway: bool,
        /// Print it as JSON: one object, of which the manual has every field
        #[arg(long, conflicts_with = "watch")]
        json: bool,
        /// Draw it anew each second, on a terminal, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Read it here, not at the usual places
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
    /// Wait until a realm can be reached
    #[command(after_help = WAIT_HELP)]
    Wait {
        /// This one: else krb5.conf's default_realm, or each in the configuration
        #[arg(value_name = "REALM")]
        realm: Option<String>,
        /// Give up after so many seconds: else never
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
        timeout: Option<u64>,
        /// Read this file, and don't ask the daemon what it serves and where
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Ask the network, layer by layer, what is wrong, and say what to do
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// Look at this realm: else at krb5.conf's default_realm, or at all in the configuration
        #[arg(value_name = "REALM")]
        realm: Option<String>,
        /// Look at `loopkdc gateway` here and at its KDCs, not at `loopkdc run`
        #[arg(long)]
        gateway: bool,
        /// Say it in JSON, for programs
        #[arg(long)]
        json: bool,
        /// Read this file, not the usual ones
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Make a configuration of a krb5.conf or of Windows' list of proxies
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// A krb5.conf, any text with a realm and <https … />, a registry.pol, a .mobileconfig or an .rdp
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Proxies that stand there without their realm, as in an .rdp, are for this one
        #[arg(long, value_name = "REALM")]
        realm: Option<String>,
    },
    /// Print or install what krb5.conf has to say to send the realms here
    #[command(after_help = KRB5_CONF_HELP)]
    Krb5Conf(Krb5ConfArgs),
    /// Ask the GSSAPI library for tokens: of use to `run` alone
    #[cfg(feature = "negotiate")]
    #[command(hide = true)]
    Gssapi {
        /// The service that tokens are for, HTTP@HOST
        service: String,
        /// Whose tickets they are of
        principal: Option<String>,
    },
}

/// `loopkdc run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Read this file, not the usual ones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve REALM by the proxy at URL, or by those in DNS (REALM=discover); may be repeated, in the order to try. Without --config no file is read
    #[arg(long = "realm", value_name = "REALM=URL")]
    realms: Vec<String>,
    /// Trust these certificates (PEM) too, for the realms given by --realm
    #[arg(long, value_name = "FILE", requires = "realms")]
    ca: Option<PathBuf>,
    /// Offer the KDC service here, not at 127.0.0.1:88 and [::1]:88; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen_kdc: Vec<String>,
    /// Offer the password-change service here, not at port 464; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen_kpasswd: Vec<String>,
    /// Keep this file saying which realms can be reached, one a line; ask where nobody else does
    #[arg(long, value_name = "FILE", env = "LOOPKDC_REACHABLE_FILE", hide_env_values = true, value_parser = OsStringValueParser::new().map(PathBuf::from))]
    reachable_file: Option<PathBuf>,
    /// Write this much to stderr: off, error, warn, info or debug
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level(), hide_possible_values = true)]
    pub log: LevelFilter,
}

/// `loopkdc krb5-conf`.
#[derive(Debug, Args)]
pub struct Krb5ConfArgs {
    /// Write it to /etc, as root
    #[arg(long, conflicts_with = "remove")]
    pub install: bool,
    /// Take away what --install wrote
    #[arg(long, conflicts_with_all = ["inline", "drop_in", "unix", "only", "config"])]
    pub remove: bool,
    /// Leave SSSD alone, which else is set up so that its logins bring a ticket
    #[arg(long, requires = "install")]
    pub no_sssd: bool,
    /// Write what SSSD reads besides: of use to loopkdc-sssd.service alone
    #[arg(long, value_name = "REALM", num_args = 0.., hide = true, exclusive = true)]
    pub sssd: Option<Vec<String>>,
    /// Keep the stanzas in krb5.conf itself, for Heimdal, which knows no includedir
    #[arg(long, conflicts_with = "drop_in")]
    pub inline: bool,
    /// Keep them in a file of krb5.conf.d, which confined programs may not read
    #[arg(long)]
    pub drop_in: bool,
    /// With --install, make comments of what else names servers of these realms
    #[arg(long, requires = "install")]
    pub only: bool,
    /// Name the Unix sockets among the listeners, for MIT krb5 1.22 and later
    #[arg(long)]
    pub unix: bool,
    /// Read this file, not the usual ones
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Krb5ConfArgs {
    /// Which stanzas are meant, and where.
    pub fn form(&self) -> Form {
        let placement = match (self.inline, self.drop_in) {
            (true, _) => Placement::Inline,
            (_, true) => Placement::DropIn,
            _ => Placement::Auto,
        };
        Form {
            placement,
            unix: self.unix,
            only: self.only,
            sssd: !self.no_sssd,
        }
    }
}

/// How much is written to stderr.
fn level() -> impl TypedValueParser<Value = LevelFilter> {
    let levels = PossibleValuesParser::new(["off", "error", "warn", "info", "debug"]);
    levels.try_map(|level| level.parse::<LevelFilter>())
}

/// What clap says of a command line that it can't read, in the form of every other error.
pub fn usage(error: &clap::Error) -> Failure {
    // Of subcommands it lists the hidden one, too.
    let text = error.render().to_string().replace(", gssapi]", "]");
    let mut paragraphs = text.trim_end().split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let failure = Failure::new(Exit::Config, first.trim_start_matches("error: "));
    paragraphs
        .map(str::trim)
        .fold(failure, |failure, paragraph| {
            match paragraph.split_once(": ") {
                Some(("tip", tip)) => failure.hint(tip),
                Some(("Usage", usage)) => failure.hint(format!("usage: {usage}")),
                _ if paragraph.starts_with("For more information") => failure,
                _ => failure.hint(paragraph),
            }
        })
}

impl RunArgs {
    /// Where to say which realms can be reached. A variable that is set to nothing is not set.
    pub fn reachable_file(&self) -> Option<PathBuf> {
        let file = self.reachable_file.clone();
        file.filter(|file| !file.as_os_str().is_empty())
    }

    /// Where the configuration of a daemon comes from that was started by these words.
    pub fn read_words(words: Vec<OsString>) -> Option<Sources> {
        match Cli::try_parse_from(words).ok()?.command {
            Command::Run(args) => Some(args.sources()),
            _ => None,
        }
    }

    /// Where the configuration comes from.
    pub fn sources(self) -> Sources {
        Sources {
            file: self.config,
            realms: self.realms,
            ca_file: self.ca,
            listen_kdc: self.listen_kdc,
            listen_kpasswd: self.listen_kpasswd,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn refused(args: &str) -> String {
        let args = std::iter::once("loopkdc").chain(args.split_whitespace());
        usage(&Cli::try_parse_from(args).unwrap_err()).to_string()
    }

    #[test]
    fn the_structs_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_one_screen() {
        for args in [
            &["loopkdc", "--help"][..],
            &["loopkdc", "run", "--help"],
            &["loopkdc", "gateway", "--help"],
            &["loopkdc", "check", "--help"],
            &["loopkdc", "status", "--help"],
            &["loopkdc", "wait", "--help"],
            &["loopkdc", "doctor", "--help"],
            &["loopkdc", "import", "--help"],
            &["loopkdc", "krb5-conf", "--help"],
        ] {
            let shown = Cli::command()
                .term_width(80)
                .try_get_matches_from(args)
                .unwrap_err();
            let help = shown.render().to_string();
            assert!(help.lines().count() <= 24, "{help}");
            assert!(
                help.lines().all(|line| line.chars().count() <= 80),
                "{help}"
            );
        }
    }

    #[test]
    fn usage_errors_look_like_all_others() {
        assert_eq!(
            refused("chck"),
            "loopkdc: error: unrecognized subcommand 'chck'\n\
             loopkdc: hint: a similar subcommand exists: 'check'\n\
             loopkdc: hint: usage: loopkdc <COMMAND>"
        );
        assert_eq!(
            refused("run --ca ca.pem"),
            "loopkdc: error: the following required arguments were not provided:\n  --realm <REALM=URL>\n\
             loopkdc: hint: usage: loopkdc run --realm <REALM=URL> --ca <FILE>"
        );
        assert_eq!(
            refused("run --log loud"),
            "loopkdc: error: invalid value 'loud' for '--log <LEVEL>'\n  \
             [possible values: off, error, warn, info, debug]"
        );
    }

    #[test]
    fn every_option_of_run_reaches_the_configuration() {
        let args = "loopkdc run --config f --realm A=u --realm B=v --ca c --listen-kdc 1 --listen-kdc 2 --listen-kpasswd 3 --log debug";
        let Command::Run(run) = Cli::try_parse_from(args.split(' ')).unwrap().command else {
            panic!("not run")
        };
        assert_eq!(run.log, LevelFilter::DEBUG);
        let sources = run.sources();
        assert_eq!(
            (sources.file, sources.ca_file),
            (Some("f".into()), Some("c".into()))
        );
        assert_eq!(sources.realms, ["A=u", "B=v"]);
        assert_eq!(
            (sources.listen_kdc, sources.listen_kpasswd),
            (vec!["1".into(), "2".into()], vec!["3".to_owned()])
        );
    }
}

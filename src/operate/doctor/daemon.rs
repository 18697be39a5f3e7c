//! The daemon: that it runs, what it goes by, and what a client is answered at its sockets.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::kdc::question;
use super::ports::Owner;
use super::{AskedRealm, COMMAND_LINE};
use crate::config::endpoint::Endpoint;
use crate::operate::kdc_client::exchange;
use crate::operate::krb5_conf::host::{property, systemctl_says, systemd_is_at_work};
use crate::operate::status::{StatusError, StatusReply};
use crate::relay::finding::{Finding, Layer, Severity};
use crate::relay::status::{DaemonKind, StatusDocument, configuration_problems};
use crate::relay::text;
use crate::wire::{Reply, Service};

const OURS: &str = env!("CARGO_PKG_VERSION");

/// What is to be said of the daemon by what it `heard` of it, and by the `owner` of its ports. `file` is the configuration
/// read here.
pub(super) fn examine(
    daemon: DaemonKind,
    heard: &Result<StatusReply, StatusError>,
    owner: &Owner,
    file: &str,
) -> Vec<Finding> {
    let finding = match heard {
        Ok(heard) => return of_status(&heard.document, file),
        Err(StatusError::NoDaemon(_)) => unheard(daemon, owner),
        Err(error) => {
            let mut finding = error.failure(daemon).finding().clone();
            finding.severity = Severity::Warning;
            finding
        }
    };
    vec![finding.on(Layer::Daemon)]
}

/// What is to be said of a daemon whose configuration cannot be used: that it serves all the same.
pub(super) fn goes_on(status: &StatusDocument) -> Vec<Finding> {
    let problems = of_configuration(status);
    if problems.is_empty() {
        let StatusDocument { version, pid, .. } = status;
        let what = format!("loopkdc {version} runs, process {pid}, by what it has read before");
        return vec![Finding::ok(Layer::Daemon, what)];
    }
    problems
}

fn of_configuration(status: &StatusDocument) -> Vec<Finding> {
    let problems = configuration_problems(status.daemon, &status.configuration).into_iter();
    let warning = |problem: Finding| Finding {
        severity: Severity::Warning,
        ..problem.on(Layer::Daemon)
    };
    problems.map(warning).collect()
}

fn warning(what: impl Into<String>) -> Finding {
    Finding::warning(what).on(Layer::Daemon)
}

fn unheard(daemon: DaemonKind, owner: &Owner) -> Finding {
    let unit = daemon.unit();
    match owner {
        Owner::Ours if daemon == DaemonKind::Gateway => {
            warning("it runs, and its status can't be read")
                .typed("see why in its log", &format!("journalctl -u {unit}"))
        }
        Owner::Ours => warning("it runs, and has no status socket to tell more").typed(
            "set status-socket under [listen], and see",
            "loopkdc status",
        ),
        Owner::Manager => failed(daemon)
            .unwrap_or_else(|| Finding::ok(Layer::Daemon, "it starts when the first client comes")),
        Owner::Unknown(_) => {
            let who = "another process holds its ports, or systemd until the first client comes";
            warning(format!("{unit} does not answer; {who}"))
                .typed("see", &format!("systemctl status {unit}.socket"))
        }
        Owner::Nobody | Owner::Other(_) => failed(daemon).unwrap_or_else(|| {
            let start = if systemd_is_at_work() {
                format!("systemctl enable --now {unit}")
            } else {
                daemon.start().to_owned()
            };
            Finding::fault(format!("{unit} does not run")).typed("start it", &start)
        }),
    }
}

/// Why one of its units has failed, if one has (systemctl(1), systemd.service(5)).
fn failed(daemon: DaemonKind) -> Option<Finding> {
    let unit = daemon.unit();
    let units = ["service", "socket"].map(|kind| format!("{unit}.{kind}"));
    units.iter().find_map(|unit| {
        let what = "Result,ExecMainStatus,InactiveExitTimestamp,InvocationID";
        let said = systemctl_says(&["show", "-p", what, unit]);
        let result = property(&said, "Result").filter(|result| *result != "success")?;
        let why = last_error(unit, &said).unwrap_or_else(|| {
            let status = property(&said, "ExecMainStatus").unwrap_or("unknown");
            format!("{result}, status {status}")
        });
        let fault = Finding::fault(format!("{unit} has failed: {why}"));
        let log = fault.typed("see its log", &format!("journalctl -u {unit} -n 20"));
        Some(log.typed("start it anew", &format!("systemctl restart {unit}")))
    })
}

/// The last error in the journal since the start of `unit` of which systemd has `said` this, as far as this user may read it: the
/// process's own, or else the first that systemd has of it. Of a process that ends at once the journal may know the unit alone.
fn last_error(unit: &str, said: &str) -> Option<String> {
    let since = format!("--since={}", property(said, "InactiveExitTimestamp")?);
    let invocation = property(said, "InvocationID")?;
    let errors = |fields: &[&str]| {
        let mut journal = Command::new("journalctl");
        journal.args(["--quiet", "--output=cat", "--priority=err"]);
        let output = journal.args(fields).stdin(Stdio::null()).output();
        String::from_utf8_lossy(&output.map_or_else(|_| Vec::new(), |output| output.stdout))
            .into_owned()
    };
    let own = errors(&[&since, &format!("_SYSTEMD_UNIT={unit}")]);
    // What has no underscore, anybody can write.
    let of_manager = errors(&["_PID=1", &format!("INVOCATION_ID={invocation}")]);
    let mut told = own
        .lines()
        .filter_map(|line| line.strip_prefix("loopkdc: error: "));
    let error = told.next_back().or(own.lines().next_back());
    let error = error.or_else(|| of_manager.lines().next())?;
    Some(text::line(error).into_owned())
}

fn of_status(status: &StatusDocument, file: &str) -> Vec<Finding> {
    let theirs = status.version.as_str();
    let running = format!("loopkdc {theirs} runs, process {}", status.pid);
    let mut findings = vec![if theirs == OURS {
        Finding::ok(Layer::Daemon, running)
    } else {
        let restart = format!("systemctl restart {}", status.daemon.unit());
        warning(format!("{running}, and this command is {OURS}"))
            .typed("restart it", &restart)
            .typed("else see which is which", "type -a loopkdc")
    }];
    findings.extend(of_configuration(status));
    match status.configuration.file.as_ref().map(|read| read.as_str()) {
        Some(read) if is_same(read, file) => {}
        Some(read) => {
            let doctor = status.daemon.command("doctor").chain(["--config", read]);
            let other = warning(format!("it goes by {read}, and what follows by {file}"));
            findings.push(other.command("look at the same", doctor));
        }
        None if file == COMMAND_LINE => {}
        None => {
            let what = format!("it goes by its command line, and what follows by {file}");
            let run = ["loopkdc", "run", "--config", file];
            findings.push(warning(what).command("have it read the file", run));
        }
    }
    findings
}

/// Both names are of one file: the daemon has its configuration's name from elsewhere than who asks now.
fn is_same(one: &str, other: &str) -> bool {
    let found = |name: &str| Path::new(name).canonicalize().ok();
    one == other || found(one).is_some_and(|found_one| Some(found_one) == found(other))
}

/// What a client is answered at one of the sockets.
#[derive(Debug)]
pub(super) struct SocketAnswer<'a> {
    endpoint: &'a Endpoint,
    reply: io::Result<Reply>,
    took: Duration,
}

/// Asks at each of `endpoints`, all at once: the daemon makes one exchange of it.
pub(super) async fn ask_through<'a>(
    asked: AskedRealm<'_>,
    endpoints: &'a [Endpoint],
) -> Vec<SocketAnswer<'a>> {
    let Ok(message) = question(asked.realm, Service::Kdc) else {
        return Vec::new();
    };
    let message = &message;
    let answers = endpoints.iter().map(|endpoint| async move {
        let began = Instant::now();
        let reply = timeout(asked.left(), exchange(&endpoint.addr, message)).await;
        SocketAnswer {
            endpoint,
            reply: reply.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())),
            took: began.elapsed(),
        }
    });
    join_all(answers).await
}

impl SocketAnswer<'_> {
    /// What it says of the daemon. If nothing serves the realm, that it says so is no fault of its own.
    pub(super) fn finding(&self, is_served: bool) -> Finding {
        let at = self.endpoint;
        let said = |what: &str| format!("asked at {at}, it {what}");
        let fault = |what| to_be_reloaded(said(what));
        let finding = match self.reply.as_ref().map_err(io::Error::kind) {
            Ok(reply) if is_served && is_of_other_realm(reply) => {
                fault("brings the answer of a KDC that does not serve this realm")
            }
            Ok(reply) if !reply.is_of_loopkdc() => {
                Finding::ok(Layer::Daemon, said("brings the KDC's answer"))
            }
            // The backlog of a Unix socket is full.
            Err(ErrorKind::TimedOut | ErrorKind::WouldBlock) => fault("does not answer in time"),
            Err(ErrorKind::InvalidData) => {
                to_be_reloaded(format!("what answers at {at} is no KDC"))
            }
            Err(ErrorKind::PermissionDenied) => {
                warning(format!("{at} may not be connected to by this user"))
                    .typed("ask as root", "sudo loopkdc doctor")
            }
            _ if is_served => fault("says that no KDC can be reached, and one can"),
            _ => {
                let what = said("says that no KDC can be reached, and why is below");
                Finding::skipped(Layer::Daemon, what)
            }
        };
        finding.figure(self.took)
    }
}

fn to_be_reloaded(what: String) -> Finding {
    Finding::fault(what)
        .on(Layer::Daemon)
        // It may go by what the configuration said before.
        .typed(
            "have it read the configuration again",
            "systemctl reload loopkdc",
        )
        .typed("see what is wrong", "loopkdc status")
}

/// S_PRINCIPAL_UNKNOWN, of krbtgt/REALM, and WRONG_REALM. What the upstreams' KDC says itself is told where it is asked.
fn is_of_other_realm(reply: &Reply) -> bool {
    matches!(reply.error_code(), Some(7 | 68))
}

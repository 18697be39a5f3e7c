//! The daemon: that it runs, what it goes by, and what a client is answered at its sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::RealmContext;
use super::kdc::question;
use super::ports::Ports;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::operate::status::{StatusError, StatusReply};
use crate::relay::finding::{Finding, Layer};
use crate::relay::status::StatusDocument;
use crate::wire::{KerberosMessage, MAX_REPLY, Realm, Reply, Service, krb_error};

const OURS: &str = env!("CARGO_PKG_VERSION");
/// As long as a client waits before it goes over to TCP.
const UDP_PATIENCE: Duration = Duration::from_secs(1);

/// What is to be said of the daemon that was `heard`, or not, and that holds `ports`. `file` is the configuration read here.
pub(super) fn examine(
    heard: &Result<StatusReply, StatusError>,
    ports: &Ports,
    file: &str,
) -> Vec<Finding> {
    match heard {
        Ok(heard) => of_report(&heard.document, file),
        Err(silence) => vec![unheard(silence, ports)],
    }
}

fn warning(what: impl Into<String>, hint: &str, command: &[&str]) -> Finding {
    Finding::warning(what)
        .on(Layer::Daemon)
        .command(hint, command.iter().copied())
}

fn unheard(silence: &StatusError, ports: &Ports) -> Finding {
    let as_root = ["sudo", "loopkdc", "doctor"];
    match (silence, ports.process) {
        (StatusError::NoDaemon(_), None) if ports.is_activated => {
            Finding::ok(Layer::Daemon, "it starts when the first client comes")
        }
        (StatusError::NoDaemon(_), None) if ports.is_hidden => warning(
            "loopkdc does not answer; systemd may hold its ports until the first client comes",
            "run as root to see",
            &as_root,
        )
        .command("or", ["systemctl", "status", "loopkdc.socket"]),
        (StatusError::NoDaemon(_), None) if !ports.unknown.is_empty() => warning(
            "loopkdc does not answer, and another process listens in its place",
            "see whether it runs",
            &["systemctl", "status", "loopkdc"],
        ),
        (StatusError::NoDaemon(_), None) if ports.ours.is_empty() => {
            Finding::fault("loopkdc does not run")
                .on(Layer::Daemon)
                .command("start it", start().iter().copied())
        }
        (StatusError::NoDaemon(_), _) => warning(
            "it runs, and has no status socket to tell more",
            "set status-socket under [listen], and see",
            &["loopkdc", "status"],
        ),
        (StatusError::Newer { version, .. }, _) => other_version(version.as_str()),
        (StatusError::Denied(_), _) => warning(
            silence.to_string(),
            "run as root to see what it says",
            &as_root,
        ),
        (silence, _) => warning(
            silence.to_string(),
            "see what it says itself",
            &["loopkdc", "status"],
        ),
    }
}

/// How a daemon is started here.
fn start() -> &'static [&'static str] {
    // sd_booted(3).
    if Path::new("/run/systemd/system").exists() {
        &["systemctl", "enable", "--now", "loopkdc"]
    } else {
        &["loopkdc", "run"]
    }
}

fn of_report(report: &StatusDocument, file: &str) -> Vec<Finding> {
    let theirs = report.version.as_str();
    let mut findings = vec![if theirs == OURS {
        Finding::ok(
            Layer::Daemon,
            format!("loopkdc {theirs} runs, process {}", report.pid),
        )
    } else {
        other_version(theirs)
    }];
    if report.configuration.error.is_some() {
        findings.push(warning(
            "it goes by what the configuration said before it was broken",
            "see what is wrong with it",
            &["loopkdc", "check"],
        ));
    } else if report.configuration.restart_needed {
        findings.push(warning(
            "what [listen] says now holds after a restart",
            "restart it",
            &["systemctl", "restart", "loopkdc"],
        ));
    }
    match report.configuration.file.as_ref().map(|read| read.as_str()) {
        Some(read) if is_same(read, file) => {}
        Some(read) => findings.push(warning(
            format!("it goes by {read}, and what follows by {file}"),
            "look at the same",
            &["loopkdc", "doctor", "--config", read],
        )),
        None => findings.push(warning(
            format!("it goes by its command line, and what follows by {file}"),
            "have it read the file",
            &["loopkdc", "run", "--config", file],
        )),
    }
    findings
}

/// Whether both name one file: the daemon has its configuration's name from elsewhere than who asks now.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let found = |name: &str| Path::new(name).canonicalize().ok();
    one == other || found(one).is_some_and(|found_one| Some(found_one) == found(other))
}

fn other_version(theirs: &str) -> Finding {
    warning(
        format!("loopkdc {theirs} runs, and this command is {OURS}"),
        "restart it",
        &["systemctl", "restart", "loopkdc"],
    )
    .command("else see which is which", ["type", "-a", "loopkdc"])
}

/// A socket for a KDC that is asked.
#[derive(Clone, Debug)]
pub(super) struct KdcSocket {
    pub(super) endpoint: Endpoint,
    /// It is known to be the daemon's.
    pub(super) is_ours: bool,
}

/// What a client is answered at one of the sockets.
#[derive(Debug)]
pub(super) struct SocketAnswer<'a> {
    socket: &'a KdcSocket,
    reply: io::Result<Reply>,
    took: Duration,
}

/// Asks at each of `sockets`, all at once: the daemon makes one exchange of it.
pub(super) async fn ask_through<'a>(
    context: RealmContext<'_>,
    sockets: &'a [KdcSocket],
) -> Vec<SocketAnswer<'a>> {
    let Some(message) = question(context.realm, Service::Kdc) else {
        return Vec::new();
    };
    let message = &message;
    let asked = sockets.iter().map(|socket| async move {
        let began = Instant::now();
        let reply = timeout(context.left(), exchange(&socket.endpoint.addr, message)).await;
        SocketAnswer {
            socket,
            reply: reply.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            took: began.elapsed(),
        }
    });
    join_all(asked).await
}

impl SocketAnswer<'_> {
    /// What it says of the daemon. If nothing serves the realm, that it says so is no fault of its own.
    pub(super) fn finding(&self, is_served: bool, realm: &Realm) -> Finding {
        let at = &self.socket.endpoint;
        let who = if self.socket.is_ours {
            "it"
        } else {
            "whoever it is"
        };
        let asked = |what: &str| format!("asked at {at}, {who} {what}");
        let finding = match &self.reply {
            Ok(reply) if is_served && is_of_other_realm(reply) => self.fault(asked(&format!(
                "brings the answer of a KDC that does not serve realm {realm}"
            ))),
            Ok(reply) if !is_unreachable(reply) => {
                Finding::ok(Layer::Daemon, asked("brings the KDC's answer"))
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.fault(asked("does not answer in time"))
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                other_program(format!("what answers at {at} is no KDC"))
            }
            _ if is_served => self.fault(asked("says that no KDC can be reached, and one can")),
            _ => {
                let what = asked("says that no KDC can be reached, and why is below");
                Finding::skipped(Layer::Daemon, what)
            }
        };
        finding.figure(self.took)
    }

    fn fault(&self, what: String) -> Finding {
        if !self.socket.is_ours {
            return other_program(what);
        }
        // It may go by what the configuration said before.
        let reload = ["systemctl", "reload", "loopkdc"];
        Finding::fault(what)
            .on(Layer::Daemon)
            .command("have it read the configuration again", reload)
            .command("it knows what is wrong", ["loopkdc", "status"])
    }
}

fn other_program(what: String) -> Finding {
    let purpose = "see whose the port is, as root";
    Finding::fault(what)
        .on(Layer::Daemon)
        .command(purpose, ["sudo", "loopkdc", "doctor"])
}

/// S_PRINCIPAL_UNKNOWN, of krbtgt/REALM, and WRONG_REALM. What the upstreams' KDC says itself is told where it is asked.
fn is_of_other_realm(reply: &Reply) -> bool {
    matches!(reply.error_code(), Some(7 | 68))
}

/// IAKERB_KDC_NOT_FOUND and NO_RESPONSE: on-failure = "explain".
fn is_unreachable(reply: &Reply) -> bool {
    matches!(reply.error_code(), Some(85 | 86))
}

async fn exchange(addr: &EndpointAddr, message: &KerberosMessage) -> io::Result<Reply> {
    let octets = match addr {
        EndpointAddr::Loopback(addr) => inet(addr.get(), message).await,
        EndpointAddr::Remote(addr) => inet(reachable(*addr), message).await,
        EndpointAddr::Unix(path) => {
            over_stream(tokio::net::UnixStream::connect(path).await?, message).await
        }
    }?;
    let reply = Reply::parse(Service::Kdc, octets);
    reply.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Who listens at all addresses is asked at one.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

/// As libkrb5 does: by UDP, and over TCP when that says so or says nothing.
async fn inet(addr: SocketAddr, message: &KerberosMessage) -> io::Result<Bytes> {
    match timeout(UDP_PATIENCE, over_udp(addr, message)).await {
        Ok(Ok(octets)) if !is_too_big(&octets) => Ok(octets),
        _ => over_stream(TcpStream::connect(addr).await?, message).await,
    }
}

fn is_too_big(octets: &Bytes) -> bool {
    let reply = Reply::parse(Service::Kdc, octets.clone());
    reply.is_ok_and(|reply| reply.error_code() == Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG))
}

async fn over_udp(addr: SocketAddr, message: &KerberosMessage) -> io::Result<Bytes> {
    let any: SocketAddr = match addr {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(addr).await?;
    socket.send(message.bytes()).await?;
    let mut octets = vec![0; 65_536];
    let length = socket.recv(&mut octets).await?;
    octets.truncate(length);
    Ok(octets.into())
}

/// RFC 4120 7.2.2.
async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    message: &KerberosMessage,
) -> io::Result<Bytes> {
    stream.write_all(message.framed().as_bytes()).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > MAX_REPLY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).await?;
    Ok(octets.into())
}

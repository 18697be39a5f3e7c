//! `[listen]`: where clients reach the two services, and how much they may ask for at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, Place, Written};
use super::file::{List, ListenTable, Whole};
use crate::config::endpoint::{Endpoint, EndpointAddr};

const KDC_PORT: u16 = 88;
const KPASSWD_PORT: u16 = 464;
/// `sun_path` holds 108 bytes on Linux, the last of them NUL (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// Where to listen, and the bounds on what clients hold there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Addresses of the KDC service. Empty: not offered (then `kpasswd` is not empty).
    pub kdc: Vec<Endpoint>,
    /// Addresses of the password-change service. Empty: not offered (then `kdc` is not empty).
    pub kpasswd: Vec<Endpoint>,
    /// The longest reply sent over UDP, in bytes; a longer one sends the client to TCP.
    pub udp_reply_max_bytes: usize,
    /// Stream connections held open at once, over all addresses.
    pub max_connections: usize,
    /// How long a stream may be silent between requests.
    pub idle_timeout: Duration,
    /// Requests being answered at once, over all addresses.
    pub max_in_flight: usize,
    /// How long nobody asks before the daemon ends, if the service manager holds its sockets. None: it stays.
    pub exit_when_idle: Option<Duration>,
    /// Permission bits of Unix sockets.
    pub unix_mode: u32,
    /// Where the status is read.
    pub status_socket: StatusSocket,
    /// Permission bits of that socket.
    pub status_mode: u32,
}

/// Where the status is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusSocket {
    /// In the usual folder, if there can be a socket.
    Usual,
    /// At this absolute path.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl StatusSocket {
    fn parse(written: &Spanned<String>) -> Result<Self, ConfigError> {
        match written.get_ref().as_str() {
            "off" => Ok(Self::Off),
            path => {
                let path = path.strip_prefix("unix:").unwrap_or(path);
                unix_path(path, "\"/run/loopkdc/status.sock\", or \"off\" for none")
                    .map(Self::At)
                    .map_err(|broken| broken.at(written.span()))
            }
        }
    }
}

/// An address as it is written; without a port the error says `port`.
pub(super) fn endpoint_addr(text: &str, port: u16) -> Result<EndpointAddr, ConfigError> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path, "\"unix:/run/loopkdc.sock\"").map(EndpointAddr::Unix);
    }
    let addr: SocketAddr = text.parse().map_err(|_| not_an_address(text, port))?;
    Ok(addr.into())
}

/// `example`: how one is written.
fn unix_path(path: &str, example: &str) -> Result<PathBuf, ConfigError> {
    if !path.starts_with('/') {
        return Err(
            ConfigError::new("the path of a Unix socket must be absolute")
                .hint(format!("write it from the root: {example}")),
        );
    }
    if path.len() > UNIX_PATH_MAX {
        return Err(ConfigError::new(format!(
            "the path of a Unix socket has at most {UNIX_PATH_MAX} bytes, this one has {}",
            path.len()
        )));
    }
    if path.contains('\0') {
        return Err(ConfigError::new(
            "the path of a Unix socket has no NUL in it",
        ));
    }
    Ok(PathBuf::from(path))
}

fn not_an_address(text: &str, port: u16) -> ConfigError {
    let broken = ConfigError::new("not an address to listen on");
    let host = text.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => broken.hint(format!("add the port: \"{ip}:{port}\"")),
        Ok(IpAddr::V6(ip)) => broken.hint(format!("add the port: \"[{ip}]:{port}\"")),
        Err(_) if text.starts_with('/') => {
            broken.hint(format!("a Unix socket is written \"unix:{text}\""))
        }
        Err(_) => broken.hint(format!(
            "write an IP address and a port, as in \"127.0.0.1:{port}\" or \"[::1]:{port}\""
        )),
    }
}

/// None: it stays. A service manager gives up what starts again and again: five times in ten seconds, by default.
fn exit_when_idle(written: Option<&Spanned<Whole>>) -> Result<Option<Duration>, ConfigError> {
    const NAME: &str = "exit-when-idle-seconds";
    let long = seconds(written, NAME, 0..=86400, 0)?;
    match (long.as_secs(), written) {
        (0, _) => Ok(None),
        (1..10, Some(written)) => Err(ConfigError::new(format!("{NAME} is 0, or 10 and more"))
            .at(written.span())
            .hint("0 has it stay; any local user can start it as often as it ends")),
        _ => Ok(Some(long)),
    }
}

impl Listen {
    /// `kdc` and `kpasswd`: what the command line says instead of the file, unless empty.
    pub(super) fn build(
        table: &ListenTable,
        kdc: &[String],
        kpasswd: &[String],
    ) -> Result<Self, ConfigError> {
        let kdc = written(table.kdc.as_ref(), "--listen-kdc", kdc);
        let kpasswd = written(table.kpasswd.as_ref(), "--listen-kpasswd", kpasswd);
        let mut taken = Taken {
            remote: table.allow_remote_clients.unwrap_or(false),
            addrs: Vec::new(),
        };
        let listen = Self {
            kdc: taken.endpoints(kdc, KDC_PORT)?,
            kpasswd: taken.endpoints(kpasswd, KPASSWD_PORT)?,
            udp_reply_max_bytes: number(
                table.udp_reply_max_bytes.as_ref(),
                "udp-reply-max-bytes",
                512..=65507,
                4096,
            )?,
            max_connections: number(
                table.max_connections.as_ref(),
                "max-connections",
                1..=65536,
                1024,
            )?,
            idle_timeout: seconds(
                table.idle_timeout_seconds.as_ref(),
                "idle-timeout-seconds",
                1..=3600,
                30,
            )?,
            max_in_flight: number(
                table.max_in_flight.as_ref(),
                "max-in-flight",
                1..=65536,
                512,
            )?,
            exit_when_idle: exit_when_idle(table.exit_when_idle_seconds.as_ref())?,
            unix_mode: mode(table.unix_mode.as_ref(), "unix-mode", 0o666)?,
            status_socket: match &table.status_socket {
                Some(written) => taken.status_socket(written)?,
                None => StatusSocket::Usual,
            },
            status_mode: mode(table.status_mode.as_ref(), "status-mode", 0o666)?,
        };
        match &table.kpasswd {
            Some(list) if listen.kdc.is_empty() && listen.kpasswd.is_empty() => Err(
                ConfigError::new("kdc and kpasswd are both empty: nothing would listen")
                    .at(list.span()),
            ),
            _ => Ok(listen),
        }
    }
}

/// The command line's addresses if there are any, else the file's, else `None`.
fn written(list: Option<&Spanned<List>>, option: &str, given: &[String]) -> Option<Vec<Written>> {
    if given.is_empty() {
        return list.map(|list| list.get_ref().written());
    }
    let place = |text: &String| Place::option(option, text);
    Some(
        given
            .iter()
            .map(|text| Written {
                text: text.clone(),
                place: place(text),
            })
            .collect(),
    )
}

/// The addresses read so far, to find one that is listed twice.
struct Taken {
    remote: bool,
    addrs: Vec<EndpointAddr>,
}

impl Taken {
    fn endpoints(
        &mut self,
        written: Option<Vec<Written>>,
        port: u16,
    ) -> Result<Vec<Endpoint>, ConfigError> {
        let Some(written) = written else {
            return [
                (IpAddr::V4(Ipv4Addr::LOCALHOST), false),
                (IpAddr::V6(Ipv6Addr::LOCALHOST), true),
            ]
            .into_iter()
            .map(|(ip, optional)| {
                let addr = SocketAddr::new(ip, port).into();
                self.take(&addr)?;
                Ok(Endpoint { addr, optional })
            })
            .collect();
        };
        let endpoint = |Written { text, place }| {
            let addr = endpoint_addr(&text, port).and_then(|addr| self.take(&addr).map(|()| addr));
            addr.map(|addr| Endpoint {
                addr,
                optional: false,
            })
            .map_err(|broken: ConfigError| broken.placed(place))
        };
        written.into_iter().map(endpoint).collect()
    }

    fn status_socket(&mut self, written: &Spanned<String>) -> Result<StatusSocket, ConfigError> {
        let socket = StatusSocket::parse(written)?;
        if let StatusSocket::At(path) = &socket {
            self.take(&EndpointAddr::Unix(path.clone()))
                .map_err(|broken| broken.at(written.span()))?;
        }
        Ok(socket)
    }

    fn take(&mut self, addr: &EndpointAddr) -> Result<(), ConfigError> {
        if matches!(addr, EndpointAddr::Remote(_)) && !self.remote {
            return Err(ConfigError::new(format!("{addr} is not a loopback address"))
                .hint("to serve other machines too, set allow-remote-clients = true under [listen] in the file"));
        }
        // Port 0 is whatever port is free: no two of them are the same.
        let free = addr.socket_addr().is_some_and(|addr| addr.port() == 0);
        if !free && self.addrs.contains(addr) {
            return Err(ConfigError::new(format!("{addr} is listed twice")));
        }
        self.addrs.push(addr.clone());
        Ok(())
    }
}

/// A number within its bounds, or `default`.
pub(super) fn number<T: TryFrom<i64>>(
    written: Option<&Spanned<Whole>>,
    key: &str,
    bounds: RangeInclusive<i64>,
    default: T,
) -> Result<T, ConfigError> {
    let Some(written) = written else {
        return Ok(default);
    };
    let Whole(number) = *written.get_ref();
    let inside = bounds
        .contains(&number)
        .then_some(number)
        .and_then(|number| T::try_from(number).ok());
    inside.ok_or_else(|| {
        ConfigError::new(format!(
            "{key} goes from {} to {}, {number} is outside",
            bounds.start(),
            bounds.end()
        ))
        .at(written.span())
    })
}

/// Whole seconds within their bounds, or `default`.
pub(super) fn seconds(
    written: Option<&Spanned<Whole>>,
    key: &str,
    bounds: RangeInclusive<i64>,
    default: u64,
) -> Result<Duration, ConfigError> {
    number(written, key, bounds, default).map(Duration::from_secs)
}

/// Permission bits in octal digits, or `default`.
pub(super) fn mode(
    written: Option<&Spanned<String>>,
    key: &str,
    default: u32,
) -> Result<u32, ConfigError> {
    let Some(written) = written else {
        return Ok(default);
    };
    let text = written.get_ref();
    let octal = !text.is_empty()
        && text.len() <= 4
        && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    // Above 0777 are setuid, setgid and sticky, which mean nothing on a socket.
    let mode = octal
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| {
        ConfigError::new(format!(
            "{key} goes from \"0000\" to \"0777\" in octal digits"
        ))
        .hint("\"0666\" lets every local user in, \"0660\" the group")
        .at(written.span())
    })
}

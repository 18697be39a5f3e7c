//! `[listen]`: where clients reach the two services, and how much they may ask for at once.

use std::path::PathBuf;
use std::time::Duration;

use super::Sources;
use super::document::ConfigSection;
use super::endpoint::{AddressSet, Endpoint, EndpointAddr, unix_path};
use super::error::{ConfigError, Located};
use super::kdcs::{KDC_PORT, KPASSWD_PORT};
use super::keys::{self, ConfigKey};

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

impl Listen {
    /// What the command line says goes before the file.
    pub(super) fn read(table: &ConfigSection, sources: &Sources) -> Result<Self, ConfigError> {
        let allows_remote = table.flag(&keys::ALLOW_REMOTE_CLIENTS);
        let check = |addr: &EndpointAddr| match addr {
            EndpointAddr::Remote(_) if !allows_remote => {
                let hint = "to serve other machines too, set allow-remote-clients = true under [listen] in the file";
                Err(ConfigError::new(format!("{addr} is not a loopback address")).hint(hint))
            }
            _ => Ok(()),
        };
        let mut addresses = AddressSet::default();
        let mut endpoints = |option: &str, given: &[String], key: &ConfigKey, port| {
            let located = |value: &String| Located::option(option, value);
            let written = if given.is_empty() {
                table.list(key)
            } else {
                given.iter().map(located).collect()
            };
            let endpoint = |written| addresses.endpoint(written, port, check);
            written.iter().map(endpoint).collect::<Result<Vec<_>, _>>()
        };
        let (kdc, kpasswd) = (&sources.listen_kdc, &sources.listen_kpasswd);
        let kdc = endpoints("--listen-kdc", kdc, &keys::KDC, KDC_PORT)?;
        let kpasswd = endpoints("--listen-kpasswd", kpasswd, &keys::KPASSWD, KPASSWD_PORT)?;
        if kdc.is_empty() && kpasswd.is_empty() {
            let rule = "kdc and kpasswd are both empty: nothing would listen";
            return Err(table.error(&keys::KPASSWD, rule));
        }
        Ok(Self {
            kdc,
            kpasswd,
            udp_reply_max_bytes: table.get(&keys::UDP_REPLY_MAX_BYTES)?,
            max_connections: table.get(&keys::LISTEN_MAX_CONNECTIONS)?,
            idle_timeout: table.seconds(&keys::IDLE_TIMEOUT_SECONDS)?,
            max_in_flight: table.get(&keys::LISTEN_MAX_IN_FLIGHT)?,
            unix_mode: table.mode(&keys::LISTEN_UNIX_MODE)?,
            status_socket: status_socket(table, &mut addresses)?,
            status_mode: table.mode(&keys::STATUS_MODE)?,
        })
    }
}

fn status_socket(
    table: &ConfigSection,
    addresses: &mut AddressSet,
) -> Result<StatusSocket, ConfigError> {
    let socket = table.parse(&keys::STATUS_SOCKET, |text| {
        if text == "off" {
            return Ok(StatusSocket::Off);
        }
        let path = text.strip_prefix("unix:").unwrap_or(text);
        let path = unix_path(path, "\"/run/loopkdc/status.sock\", or \"off\" for none")?;
        addresses.add(&EndpointAddr::Unix(path.clone()))?;
        Ok(StatusSocket::At(path))
    })?;
    Ok(socket.unwrap_or(StatusSocket::Usual))
}

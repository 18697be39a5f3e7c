//! `[listen]`: where clients reach the two services, and how much they may ask for at once.

use std::path::PathBuf;
use std::time::Duration;

use super::Sources;
use super::document::ConfigSection;
use super::endpoint::{AddressSet, Endpoint, EndpointAddr, unix_path};
use super::error::{ConfigError, ConfigPlace};
use super::keys::{self, ConfigKey};

const KDC_PORT: u16 = 88;
const KPASSWD_PORT: u16 = 464;

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
        let mut addresses = AddressSet::default();
        let mut read = |key, port, option, given: &[String]| {
            endpoints(&mut addresses, table, (key, port), (option, given))
        };
        let kdc = read(&keys::KDC, KDC_PORT, "--listen-kdc", &sources.listen_kdc)?;
        let given = &sources.listen_kpasswd;
        let kpasswd = read(&keys::KPASSWD, KPASSWD_PORT, "--listen-kpasswd", given)?;
        if let Some(place) = table.place(&keys::KPASSWD)
            && kdc.is_empty()
            && kpasswd.is_empty()
        {
            let rule = "kdc and kpasswd are both empty: nothing would listen";
            return Err(ConfigError::new(rule).at(place));
        }
        Ok(Self {
            kdc,
            kpasswd,
            udp_reply_max_bytes: table.number(&keys::UDP_REPLY_MAX_BYTES)?,
            max_connections: table.number(&keys::LISTEN_MAX_CONNECTIONS)?,
            idle_timeout: table.seconds(&keys::IDLE_TIMEOUT_SECONDS)?,
            max_in_flight: table.number(&keys::LISTEN_MAX_IN_FLIGHT)?,
            unix_mode: table.number(&keys::LISTEN_UNIX_MODE)?,
            status_socket: status_socket(table, &mut addresses)?,
            status_mode: table.number(&keys::STATUS_MODE)?,
        })
    }
}

/// The addresses that were `given` on the command line if there are any, else the file's, else the default ones.
fn endpoints(
    addresses: &mut AddressSet,
    table: &ConfigSection,
    (key, port): (&ConfigKey, u16),
    (option, given): (&str, &[String]),
) -> Result<Vec<Endpoint>, ConfigError> {
    let allows_remote = table.flag(&keys::ALLOW_REMOTE_CLIENTS);
    let check = |addr: &EndpointAddr| {
        match addr {
        EndpointAddr::Remote(_) if !allows_remote => Err(ConfigError::new(format!(
            "{addr} is not a loopback address"
        ))
        .hint("to serve other machines too, set allow-remote-clients = true under [listen] in the file")),
        _ => Ok(()),
    }
    };
    if given.is_empty() {
        return addresses.endpoints(table, key, port, check);
    }
    let endpoint = |text: &String| {
        let place = ConfigPlace::option(option, text);
        addresses.endpoint(text, Some(&place), port, check)
    };
    given.iter().map(endpoint).collect()
}

fn status_socket(
    table: &ConfigSection,
    addresses: &mut AddressSet,
) -> Result<StatusSocket, ConfigError> {
    let Some(written) = table.text(&keys::STATUS_SOCKET) else {
        return Ok(StatusSocket::Usual);
    };
    if written.value == "off" {
        return Ok(StatusSocket::Off);
    }
    written.parse(|text| {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        let path = unix_path(path, "\"/run/loopkdc/status.sock\", or \"off\" for none")?;
        addresses.add(&EndpointAddr::Unix(path.clone()))?;
        Ok(StatusSocket::At(path))
    })
}

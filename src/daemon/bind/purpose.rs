//! What a socket is for, and so what to say when it can't be had.

use std::io::{self, ErrorKind};

use crate::config::endpoint::Endpoint;
use crate::relay::failure::{Exit, Failure};
use crate::wire::Service;

/// What a socket is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Clients on this machine.
    Service(Service),
    /// Clients of the gateway, by the key of its configuration that says so.
    Http(&'static str),
    /// Readers of the status.
    Status,
}

impl Purpose {
    /// A socket could not be bound.
    pub(crate) fn refused(self, endpoint: &Endpoint, error: &io::Error) -> Failure {
        let failure = |exit| Failure::new(exit, format!("cannot listen on {endpoint}: {error}"));
        let is_path = endpoint.addr.socket_addr().is_none();
        let elsewhere = self.elsewhere();
        match error.kind() {
            ErrorKind::PermissionDenied if is_path => {
                failure(Exit::Permission).hint(format!("make the socket's directory writable, {elsewhere}"))
            }
            ErrorKind::PermissionDenied => self.unprivileged(failure(Exit::Permission)).hint(elsewhere),
            ErrorKind::AddrInUse if is_path => failure(Exit::Config)
                .hint("another loopkdc may listen there, or something that is no socket stands there: remove it"),
            ErrorKind::AddrInUse => failure(Exit::Config).hint(self.holders(endpoint)).hint(elsewhere),
            ErrorKind::AddrNotAvailable => failure(Exit::Config)
                .hint("no interface of this machine has this address: ip address"),
            ErrorKind::NotFound => failure(Exit::Config).hint("make the socket's directory first"),
            _ => failure(Exit::Config),
        }
    }

    fn elsewhere(self) -> String {
        let by_option = |option, free| {
            format!("or listen elsewhere with {option} {free}, and name that port in krb5.conf")
        };
        match self {
            Self::Service(Service::Kdc) => by_option("--listen-kdc", "127.0.0.1:8888"),
            Self::Service(Service::Kpasswd) => by_option("--listen-kpasswd", "127.0.0.1:8464"),
            Self::Http(key) => {
                format!("or listen elsewhere: {key} under [gateway] in the file")
            }
            Self::Status => {
                "or give it another place: status-socket under [listen] in the file".to_owned()
            }
        }
    }

    /// How a port below 1024 can be had.
    fn unprivileged(self, failure: Failure) -> Failure {
        let capability = "setcap cap_net_bind_service=+ep \"$(command -v loopkdc)\"";
        match self {
            Self::Service(_) => failure
                .hint("ports below 1024 take root, systemd's sockets, or a capability:")
                .hint("systemctl enable --now loopkdc.socket loopkdc-kpasswd.socket")
                .hint(capability),
            // No port is bound for it.
            Self::Status => failure,
            Self::Http(_) => failure
                .hint("ports below 1024 take root, systemd's socket, or a capability, as loopkdc-gateway.service has it:")
                .hint("systemctl enable --now loopkdc-gateway.socket")
                .hint(capability),
        }
    }

    /// What usually holds the port, and how to see what does.
    fn holders(self, endpoint: &Endpoint) -> String {
        let usual = match self {
            Self::Service(Service::Kdc) => "krb5kdc, samba, heimdal-kdc",
            Self::Service(Service::Kpasswd) => "kadmind, samba, kpasswdd",
            Self::Http(_) | Self::Status => "a web server",
        };
        let port = endpoint.addr.socket_addr().map_or(0, |addr| addr.port());
        format!(
            "usually held by {usual} or another loopkdc; to see who: ss -lntup 'sport = {port}'"
        )
    }
}

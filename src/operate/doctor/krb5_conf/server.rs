//! What the value of `kdc =` and its like names.

use std::net::IpAddr;

use crate::config::endpoint::{Endpoint, EndpointAddr};

/// Something of ours listens where `value` leads, as MIT krb5 1.22 reads it: a path, or a host that may have a port.
pub(super) fn is_one_of(value: &str, usual_port: u16, endpoints: &[Endpoint]) -> bool {
    let server = host_and_port(value, usual_port);
    endpoints.iter().any(|endpoint| match &endpoint.addr {
        EndpointAddr::Unix(path) => path.as_os_str() == value,
        addr => addr.socket_addr().is_some_and(|ours| {
            server.is_some_and(|(host, port)| port == ours.port() && leads_to(host, ours.ip()))
        }),
    })
}

fn host_and_port(value: &str, usual_port: u16) -> Option<(&str, u16)> {
    let value = value.split([' ', '\t']).next().unwrap_or_default();
    let bracketed = value
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => value
            .split_once(':')
            .map_or((value, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(usual_port), str::parse);
    Some((host, port.ok()?))
}

fn leads_to(host: &str, ours: IpAddr) -> bool {
    match host.parse::<IpAddr>() {
        Ok(ip) => ip == ours || (ours.is_unspecified() && ip.is_loopback()),
        Err(_) => {
            host.eq_ignore_ascii_case("localhost") && (ours.is_loopback() || ours.is_unspecified())
        }
    }
}

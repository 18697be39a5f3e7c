//! What `loopkdc gateway` would do.

use std::fmt;

use crate::config::gateway::{GatewayConfig, KdcRealm, Quotas, Serving, TrustedProxies};
use crate::relay::upstream::kdc::Transport;

use super::{Endpoints, kdcs};

/// What would be served, and which KDCs would be asked.
pub(super) struct Report<'a>(pub(super) &'a GatewayConfig);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        writeln!(f, "{}: valid", config.source.display())?;
        serving(f, &config.serving)?;
        config.realms.iter().try_for_each(|entry| realm(f, entry))?;
        writeln!(f, "any other realm: not served")
    }
}

fn serving(f: &mut fmt::Formatter<'_>, serving: &Serving) -> fmt::Result {
    let Serving { https, plain, .. } = serving;
    writeln!(f, "https: {}", Endpoints::open(https))?;
    writeln!(f, "plain http: {}", Endpoints::open(plain))?;
    writeln!(f, "path: {}", serving.path)?;
    if let Some(tls) = &serving.tls {
        writeln!(f, "certificate: {}", tls.certificate.display())?;
        if let Some(ca) = &tls.client_ca {
            let must = if tls.require_client_cert {
                "required of"
            } else {
                "asked of"
            };
            writeln!(
                f,
                "client certificates: {must} every client, signed by {}",
                ca.display()
            )?;
        }
    }
    if serving.trusted != TrustedProxies::default() {
        writeln!(f, "believed about clients' addresses: {}", serving.trusted)?;
    }
    quotas(f, &serving.quotas)?;
    match &serving.access_log {
        Some(log) => writeln!(f, "access log: {}", log.target)?,
        None => writeln!(f, "access log: off")?,
    }
    match serving.metrics {
        Some(addr) => writeln!(f, "metrics: http://{}/metrics", addr.get()),
        None => writeln!(f, "metrics: not served"),
    }
}

fn quotas(f: &mut fmt::Formatter<'_>, quotas: &Quotas) -> fmt::Result {
    let Quotas {
        requests_per_second,
        burst,
        in_flight,
        failures_per_minute,
        failure_burst,
    } = quotas;
    match requests_per_second {
        0 => writeln!(f, "one client: any number of requests")?,
        rate => writeln!(f, "one client: {rate} requests a second, {burst} at once")?,
    }
    match in_flight {
        0 => writeln!(f, "requests of one client under way: any number")?,
        most => writeln!(f, "requests of one client under way: {most}")?,
    }
    match failures_per_minute {
        0 => writeln!(f, "failed logins of one client: any number"),
        rate => writeln!(
            f,
            "failed logins of one client in one realm: {rate} a minute, {failure_burst} at once"
        ),
    }
}

fn realm(f: &mut fmt::Formatter<'_>, entry: &KdcRealm) -> fmt::Result {
    let KdcRealm {
        aliases, services, ..
    } = entry;
    write!(f, "realm {}", entry.realm)?;
    for (index, alias) in aliases.iter().enumerate() {
        write!(f, "{}{alias}", if index == 0 { " (also " } else { ", " })?;
    }
    writeln!(f, "{}", if aliases.is_empty() { "" } else { ")" })?;
    kdcs::show(f, &entry.realm, &entry.kdcs, *services)?;
    let transport = match entry.transport {
        Transport::TcpFirst => "tcp",
        Transport::UdpFirst => "udp",
    };
    let seconds = entry.deadline.as_secs();
    writeln!(f, "  deadline {seconds} s, transport {transport} first")
}

//! `loopkdc check`: whether the configuration is valid, and what it says.

mod tunnel;

use std::path::Path;

use ipnet::IpNet;

use super::terminal;
use crate::config::endpoint::Endpoint;
use crate::config::gateway::{GatewayConfig, KdcRealm, Quotas, Serving, TrustedProxies};
use crate::config::{Config, Kdcs, Sources};
use crate::relay::failure::Failure;
use crate::relay::upstream::kdc::Transport;
use crate::wire::{ByService, Realm};

/// Prints the report on `loopkdc run` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn tunnel(sources: &Sources) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    terminal::print(&of_tunnel(&config));
    config.warnings().iter().for_each(terminal::print_warning);
    Ok(())
}

/// Prints the report on `loopkdc gateway` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn gateway(file: Option<&Path>) -> Result<(), Failure> {
    let config = GatewayConfig::load(file)?;
    terminal::print(&of_gateway(&config));
    config.warnings().iter().for_each(terminal::print_warning);
    Ok(())
}

/// What `loopkdc run` would do: what would listen and where each realm goes.
#[must_use]
pub fn of_tunnel(config: &Config) -> String {
    text(&tunnel::lines(config))
}

/// What `loopkdc gateway` would do: what would be served, and which KDCs would be asked.
#[must_use]
pub fn of_gateway(config: &GatewayConfig) -> String {
    let mut lines = vec![format!("{}: valid", config.source.display())];
    lines.extend(serving(&config.serving));
    lines.extend(config.realms.iter().flat_map(kdc_realm));
    lines.push("any other realm: not served".to_owned());
    text(&lines)
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn serving(serving: &Serving) -> Vec<String> {
    let mut lines = vec![
        format!("https: {}", endpoints(&serving.https, "nowhere")),
        format!("plain http: {}", endpoints(&serving.plain, "nowhere")),
        format!("path: {}", serving.path),
    ];
    if let Some(tls) = &serving.tls {
        lines.push(format!("certificate: {}", tls.certificate.display()));
        lines.extend(tls.client_ca.as_ref().map(|ca| {
            let (must, ca) = (
                if tls.require_client_cert {
                    "required of"
                } else {
                    "asked of"
                },
                ca.display(),
            );
            format!("client certificates: {must} every client, signed by {ca}")
        }));
    }
    if serving.trusted != TrustedProxies::default() {
        let trusted = &serving.trusted;
        lines.push(format!("believed about clients' addresses: {trusted}"));
    }
    lines.extend(quotas(&serving.quotas));
    lines.push(match &serving.access_log {
        Some(log) => format!("access log: {}", log.target),
        None => "access log: off".to_owned(),
    });
    lines.push(match serving.metrics {
        Some(addr) => format!("metrics: http://{}/metrics", addr.get()),
        None => "metrics: not served".to_owned(),
    });
    lines
}

fn quotas(quotas: &Quotas) -> [String; 3] {
    let Quotas {
        requests_per_second,
        burst,
        in_flight,
        failures_per_minute,
        failure_burst,
    } = quotas;
    [
        match requests_per_second {
            0 => "one client: any number of requests".to_owned(),
            rate => format!("one client: {rate} requests a second, {burst} at once"),
        },
        match in_flight {
            0 => "requests of one client under way: any number".to_owned(),
            most => format!("requests of one client under way: {most}"),
        },
        match failures_per_minute {
            0 => "failed logins of one client: any number".to_owned(),
            rate => format!(
                "failed logins of one client in one realm: {rate} a minute, {failure_burst} at once"
            ),
        },
    ]
}

fn kdc_realm(entry: &KdcRealm) -> Vec<String> {
    let mut lines = vec![realm_line(&entry.realm.to_string(), &entry.aliases)];
    lines.extend(kdcs(&entry.realm, &entry.kdcs, entry.services));
    let transport = match entry.transport {
        Transport::TcpFirst => "tcp",
        Transport::UdpFirst => "udp",
    };
    let seconds = entry.deadline.as_secs();
    lines.push(format!(
        "  deadline {seconds} s, transport {transport} first"
    ));
    lines
}

/// `realm EXAMPLE.COM (also CORP)`.
fn realm_line(name: &str, aliases: &[Realm]) -> String {
    if aliases.is_empty() {
        return format!("realm {name}");
    }
    format!("realm {name} (also {})", joined(aliases))
}

/// Addresses in their order; `none` if there are none.
fn endpoints(list: &[Endpoint], none: &str) -> String {
    let shown = list.iter().map(|endpoint| {
        let condition = if endpoint.optional {
            " (if this machine has IPv6)"
        } else {
            ""
        };
        format!("{endpoint}{condition}")
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() {
        return none.to_owned();
    }
    shown.join(", ")
}

/// The KDCs of `realm`, a line for each or for what leads to them.
fn kdcs(realm: &Realm, kdcs: &Kdcs, services: ByService<bool>) -> Vec<String> {
    let mut lines = Vec::new();
    match kdcs {
        Kdcs::Listed(listed) => {
            for (service, list) in [("kdc", &listed.kdc), ("kpasswd", &listed.kpasswd)] {
                lines.extend(list.is_none().then(|| format!("  {service}: not offered")));
                let kdcs = list.iter().flatten().enumerate();
                lines.extend(kdcs.map(|(index, kdc)| {
                    let primary = if kdc.primary { " (primary)" } else { "" };
                    format!("  {service} {}. {kdc}{primary}", index + 1)
                }));
            }
        }
        Kdcs::Discovered(found) => {
            for (service, name, is_offered) in [
                ("kdc", "_kerberos", services.kdc),
                ("kpasswd", "_kpasswd", services.kpasswd),
            ] {
                lines.push(if is_offered {
                    format!(
                        "  {service}: SRV records of {name}._tcp.{realm} and {name}._udp.{realm}"
                    )
                } else {
                    format!("  {service}: not offered")
                });
            }
            lines.push(format!("  ports allowed in them: {}", joined(&found.ports)));
            lines.extend(also_allowed(&found.networks));
        }
    }
    lines
}

/// What names found in DNS may lead to besides other hosts.
fn also_allowed(networks: &[IpNet]) -> Option<String> {
    (!networks.is_empty()).then(|| format!("  also allowed: {}", joined(networks)))
}

fn joined<T: ToString>(list: &[T]) -> String {
    let shown: Vec<_> = list.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

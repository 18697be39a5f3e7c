//! `loopkdc check`: whether the configuration is valid, and what it says.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::service_user;
use super::terminal::{self, joined};
use crate::config::endpoint::Endpoint;
use crate::config::gateway::{
    AllowedCertificates, AllowedPreauth, GatewayConfig, KdcRealm, RealmPolicy, Serving,
    TrustedProxies,
};
use crate::config::{Config, Kdcs, Order, Proxies, RealmEntry, RealmPattern, Sources};
use crate::daemon::user;
use crate::relay::failure::Failure;
use crate::relay::finding::Severity;
use crate::relay::status::DaemonKind;
use crate::relay::upstream::kdc::Transport;
use crate::relay::upstream::proxy_options::{ForwardProxy, HttpVersion, MinTls, ProxyOptions};
use crate::wire::{ByService, Realm};

/// Prints the report on `loopkdc run` on stdout and the warnings on stderr.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn run(sources: &Sources) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    terminal::print(&of_run(&config));
    config.warnings().iter().for_each(terminal::print_warning);
    if let Some(source) = &config.source {
        warn_of_unreadable(DaemonKind::Run, source, &config.files());
    }
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
    warn_of_unreadable(DaemonKind::Gateway, &config.source, &config.files());
    Ok(())
}

/// Prints what the service could not read, which is for root alone to see.
fn warn_of_unreadable(daemon: DaemonKind, source: &Path, files: &BTreeSet<PathBuf>) {
    if !user::is_root() {
        return;
    }
    let findings = service_user::examine(daemon, source, files, None);
    let faults = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Fault);
    faults.for_each(terminal::print_warning);
}

/// What `loopkdc run` would do: what would listen and where each realm goes.
#[must_use]
pub fn of_run(config: &Config) -> String {
    terminal::lines(&run_lines(config))
}

/// What `loopkdc gateway` would do: what would be served, and which KDCs would be asked.
#[must_use]
pub fn of_gateway(config: &GatewayConfig) -> String {
    let mut lines = vec![format!("{}: valid", config.source.display())];
    lines.extend(serving(&config.serving));
    lines.extend(config.realms.iter().flat_map(kdc_realm));
    lines.push("any other realm: not served".to_owned());
    terminal::lines(&lines)
}

/// What would listen and where each realm goes.
fn run_lines(config: &Config) -> Vec<String> {
    let source = config.source.as_ref();
    let source = source.map_or("the command line".into(), |path| path.to_string_lossy());
    let offered = |list| endpoints(list, "not offered");
    let mut lines = vec![
        format!("{source}: valid"),
        format!("kdc: {}", offered(&config.listen.kdc)),
        format!("kpasswd: {}", offered(&config.listen.kpasswd)),
    ];
    let mut realms: Vec<_> = config.realms.iter().collect();
    realms.sort_by_key(|entry| entry.pattern.rank());
    lines.extend(realms.iter().flat_map(|entry| proxied_realm(entry)));
    let mut patterns = realms.iter().map(|entry| &entry.pattern);
    if !patterns.any(|pattern| matches!(pattern, RealmPattern::Any)) {
        let on_failure = config.default_on_failure;
        let other = "any other realm: no proxy";
        lines.push(format!("{other}, on-failure {on_failure}"));
    }
    lines
}

fn proxied_realm(entry: &RealmEntry) -> Vec<String> {
    let mut lines = vec![realm_line(&entry.pattern.to_string(), &entry.aliases)];
    lines.extend(proxies(entry));
    if let (Some(direct), Some(realm)) = (&entry.direct, entry.realm()) {
        let order = match direct.order {
            Order::Prefer => "prefer: where these can be reached, they are asked and no proxy",
            Order::Fallback => "fallback: where no proxy can be reached, these are asked",
        };
        lines.push(format!("  direct {order}"));
        lines.extend(kdcs(realm, &direct.kdcs, ByService::both(true)));
    }
    let (deadline, on_failure) = (entry.deadline.as_secs(), entry.on_failure);
    lines.push(format!("  deadline {deadline} s, on-failure {on_failure}"));
    if let Some(ca) = &entry.ca {
        let (path, count) = (ca.path.display(), ca.certs.len());
        lines.push(format!(
            "  trusts besides the system's roots: {path} (certificates: {count})"
        ));
    }
    lines.extend(outbound(&entry.proxy_options));
    if let Some(domain) = &entry.target_domain {
        lines.push(format!("  target-domain {domain}"));
    }
    if let Some(hint) = entry.dclocator_hint {
        lines.push(format!("  dclocator-hint {hint:#x}"));
    }
    lines
}

fn proxies(entry: &RealmEntry) -> Vec<String> {
    let discovery = match &entry.proxies {
        Proxies::Listed(ByService { kdc, kpasswd }) => {
            let others = kpasswd.iter().filter(|_| kpasswd != kdc).cloned();
            let lines = numbered("", kdc.iter().cloned());
            return lines.chain(numbered("kpasswd ", others)).collect();
        }
        Proxies::Discovered(discovery) => discovery,
    };
    let realm = &entry.pattern;
    let mut lines = vec![format!(
        "  proxies: URI records of _kerberos.{realm} and _kpasswd.{realm}, else SRV records of _kerberos._https.{realm}"
    )];
    if discovery.plaintext {
        lines.push("  allowed in them: http://".to_owned());
    }
    lines.extend(also_allowed(&discovery.networks));
    lines
}

/// A line for each, in the order in which they are tried; and whether it is a primary one.
fn numbered<T: fmt::Display>(
    service: &str,
    servers: impl Iterator<Item = (T, bool)>,
) -> impl Iterator<Item = String> {
    servers.zip(1..).map(move |((server, is_primary), number)| {
        let primary = if is_primary { " (primary)" } else { "" };
        format!("  {service}{number}. {server}{primary}")
    })
}

/// How requests get out, and which keys say more about that; no secret.
fn outbound(options: &ProxyOptions) -> Vec<String> {
    let mut lines = match &options.forward_proxy {
        ForwardProxy::None => Vec::new(),
        ForwardProxy::Environment => {
            vec!["  by way of what HTTPS_PROXY, ALL_PROXY and NO_PROXY say".to_owned()]
        }
        ForwardProxy::Url(proxy) => vec![format!("  by way of {proxy}")],
    };
    let headers = &options.headers;
    let keys = [
        ("client-certificate", options.client_certificate.is_some()),
        ("headers", !headers.fixed.is_empty()),
        ("headers-file", headers.headers_file.is_some()),
        ("bearer-token-file", headers.bearer_token_file.is_some()),
        ("auth", options.negotiate.is_some()),
        ("pins", !options.pins.is_empty()),
        ("min-tls", options.min_tls != MinTls::default()),
        (
            "http-version",
            options.http_version != HttpVersion::default(),
        ),
    ];
    let set = keys.into_iter().filter(|(_, is_set)| *is_set);
    let set = joined(set.map(|(key, _)| key));
    if !set.is_empty() {
        lines.push(format!("  with {set}"));
    }
    lines
}

fn serving(serving: &Serving) -> Vec<String> {
    let mut lines = vec![
        format!("https: {}", endpoints(&serving.https, "nowhere")),
        format!("plain http: {}", endpoints(&serving.plain, "nowhere")),
        format!("path: {}", serving.path),
    ];
    if let Some(tls) = &serving.tls {
        lines.push(format!("certificate: {}", tls.certificate.display()));
        if let Some(ca) = &tls.client_ca {
            let (is_required, ca) = (tls.require_client_cert, ca.display());
            let must = if is_required { "required" } else { "asked" };
            let whose = format!("{must} of every client, signed by {ca}");
            lines.push(format!("client certificates: {whose}"));
        }
        if let Some(lists) = &tls.client_crl {
            lines.push(format!("  unless revoked by {}", lists.display()));
        }
    }
    for AllowedCertificates { san, realms } in &serving.clients {
        lines.push(format!("  {san}: let in for {}", joined(realms.iter())));
    }
    if let Some(tokens) = &serving.tokens {
        lines.push(format!("tokens let in: {}", tokens.path().display()));
    }
    if serving.trusted != TrustedProxies::default() {
        let trusted = &serving.trusted;
        lines.push(format!("believed about clients' addresses: {trusted}"));
    }
    let log = serving.access_log.as_ref();
    let log = log.map_or("off".to_owned(), |log| log.target.to_string());
    lines.push(format!("access log: {log}"));
    let metrics = serving.metrics.as_ref();
    let none = || "not served".to_owned();
    let metrics = metrics.map_or_else(none, |addr| format!("http://{addr}/metrics"));
    lines.push(format!("metrics: {metrics}"));
    lines
}

fn kdc_realm(entry: &KdcRealm) -> Vec<String> {
    let mut lines = vec![realm_line(&entry.realm.to_string(), &entry.aliases)];
    lines.extend(kdcs(&entry.realm, &entry.kdcs, entry.services));
    let transport = match entry.transport {
        Transport::TcpFirst => "tcp",
        Transport::UdpFirst => "udp",
    };
    let deadline = entry.deadline.as_secs();
    lines.push(format!(
        "  deadline {deadline} s, transport {transport} first"
    ));
    if entry.serves_other_realms {
        lines.push("  other realms of these KDCs: served under its name".to_owned());
    }
    lines.extend(policy(&entry.policy));
    lines
}

/// What may not be asked, a line for each key that says so.
fn policy(policy: &RealmPolicy) -> impl Iterator<Item = String> {
    let preauth = match policy.preauth {
        AllowedPreauth::Any => None,
        AllowedPreauth::Armored => Some("inside FAST alone"),
        AllowedPreauth::NoTimestamp => Some("no encrypted timestamp outside of FAST"),
    };
    let preauth = preauth.map(|preauth| format!("  preauthentication: {preauth}"));
    let denied = Some(&policy.deny_principals).filter(|denied| !denied.is_empty());
    let denied = denied.map(|denied| format!("  refused principals: {}", joined(denied)));
    let allowed = policy.allow_services.as_ref();
    let allowed = allowed.map(|allowed| format!("  tickets for these alone: {}", joined(allowed)));
    [preauth, denied, allowed].into_iter().flatten()
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
        } else if endpoint.proxy_protocol {
            " (with PROXY headers)"
        } else {
            ""
        };
        format!("{endpoint}{condition}")
    });
    if list.is_empty() {
        return none.to_owned();
    }
    joined(shown)
}

/// The KDCs of `realm`, a line for each or for what leads to them.
fn kdcs(realm: &Realm, kdcs: &Kdcs, services: ByService<bool>) -> Vec<String> {
    let not_offered = |service: &str| format!("  {service}: not offered");
    let mut lines = Vec::new();
    match kdcs {
        Kdcs::Listed(listed) => {
            for (service, list) in [("kdc", &listed.kdc), ("kpasswd", &listed.kpasswd)] {
                lines.extend(list.is_none().then(|| not_offered(service)));
                let list = list.iter().flatten().map(|kdc| (kdc, kdc.primary));
                lines.extend(numbered(&format!("{service} "), list));
            }
        }
        Kdcs::Discovered(found) => {
            let primary = ", and of _kerberos-master for primary ones";
            for (service, name, also, is_offered) in [
                ("kdc", "_kerberos", primary, services.kdc),
                ("kpasswd", "_kpasswd", "", services.kpasswd),
            ] {
                let records = format!(
                    "  {service}: SRV records of {name}._tcp.{realm} and {name}._udp.{realm}{also}"
                );
                let none = || not_offered(service);
                lines.push(Some(records).filter(|_| is_offered).unwrap_or_else(none));
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

//! What `loopkdc run` would do.

use std::fmt::{self, Write as _};

use crate::config::{Config, Listen, Order, Proxies, RealmEntry, RealmPattern, StatusSocket};
use crate::relay::upstream::dns::Allowed;
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::out::{MinTls, Out, Via};
use crate::wire::ByService;

use super::{Endpoints, kdcs};

/// Every local user may ask.
const USUAL_MODE: u32 = 0o666;

/// What would listen and where each realm goes.
pub(super) struct Report<'a>(pub(super) &'a Config);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        if let Some(path) = &config.source {
            writeln!(f, "{}: valid", path.display())?;
        }
        writeln!(f, "kdc: {}", Endpoints::offered(&config.listen.kdc))?;
        writeln!(f, "kpasswd: {}", Endpoints::offered(&config.listen.kpasswd))?;
        status(f, &config.listen)?;
        let mut realms: Vec<_> = config.realms.iter().collect();
        realms.sort_by_key(|entry| rank(&entry.pattern));
        realms.into_iter().try_for_each(|entry| realm(f, entry))?;
        let any = config
            .realms
            .iter()
            .any(|entry| matches!(entry.pattern, RealmPattern::Any));
        if !any {
            writeln!(
                f,
                "any other realm: no upstream, on-failure {}",
                config.default_on_failure
            )?;
        }
        Ok(())
    }
}

/// Where the status is read, if the configuration says so.
fn status(f: &mut fmt::Formatter<'_>, listen: &Listen) -> fmt::Result {
    match &listen.status_socket {
        StatusSocket::Usual if listen.status_mode == USUAL_MODE => Ok(()),
        StatusSocket::Usual => {
            writeln!(
                f,
                "status: the usual socket, mode {:04o}",
                listen.status_mode
            )
        }
        StatusSocket::At(path) => {
            let path = path.display();
            writeln!(f, "status: {path}, mode {:04o}", listen.status_mode)
        }
        StatusSocket::Off => writeln!(f, "status: not told"),
    }
}

/// In the order in which a realm is matched: the longest match first.
fn rank(pattern: &RealmPattern) -> (u8, std::cmp::Reverse<usize>) {
    match pattern {
        RealmPattern::Exact(_) => (0, std::cmp::Reverse(0)),
        RealmPattern::Suffix(suffix) => (1, std::cmp::Reverse(suffix.as_str().len())),
        RealmPattern::Any => (2, std::cmp::Reverse(0)),
    }
}

fn realm(f: &mut fmt::Formatter<'_>, entry: &RealmEntry) -> fmt::Result {
    let mut names = entry.pattern.to_string();
    for (index, alias) in entry.aliases.iter().enumerate() {
        let before = if index == 0 { " (also " } else { ", " };
        write!(names, "{before}{alias}")?;
    }
    if !entry.aliases.is_empty() {
        names.push(')');
    }
    writeln!(f, "realm {names}")?;
    proxies(f, entry)?;
    if let (Some(direct), RealmPattern::Exact(realm)) = (&entry.direct, &entry.pattern) {
        writeln!(f, "  direct {}: {}", direct.order, order(direct.order))?;
        kdcs::show(f, realm, &direct.kdcs, ByService::both(true))?;
    }
    writeln!(
        f,
        "  deadline {} s, on-failure {}",
        entry.deadline.as_secs(),
        entry.on_failure
    )?;
    if let Some(ca) = &entry.ca {
        writeln!(
            f,
            "  trusts besides the system's roots: {} ({})",
            ca.path.display(),
            count(ca.certs.len())
        )?;
    }
    out(f, &entry.out)?;
    if let Some(domain) = &entry.target_domain {
        writeln!(f, "  target-domain {domain}")?;
    }
    entry
        .dclocator_hint
        .map_or(Ok(()), |hint| writeln!(f, "  dclocator-hint {hint:#x}"))
}

fn proxies(f: &mut fmt::Formatter<'_>, entry: &RealmEntry) -> fmt::Result {
    for (index, proxy) in entry.proxies.listed().iter().enumerate() {
        writeln!(f, "  {}. {proxy}", index + 1)?;
    }
    let Proxies::Discovered(discovery) = &entry.proxies else {
        return Ok(());
    };
    let realm = &entry.pattern;
    writeln!(
        f,
        "  proxies: URI records of _kerberos.{realm} and _kpasswd.{realm}, else SRV records of _kerberos._https.{realm}"
    )?;
    let Allowed {
        plaintext,
        permitted,
    } = discovery.allowed();
    if *plaintext {
        writeln!(f, "  allowed in them: http://")?;
    }
    match permitted {
        Permitted::Any => Ok(()),
        Permitted::OtherHosts(networks) => kdcs::also_allowed(f, networks),
    }
}

fn order(order: Order) -> &'static str {
    match order {
        Order::Prefer => "where these can be reached, they are asked and no proxy",
        Order::Fallback => "where no proxy can be reached, these are asked",
    }
}

/// How requests get out, where that is not as usual; no secret.
fn out(f: &mut fmt::Formatter<'_>, out: &Out) -> fmt::Result {
    match &out.via {
        Via::Nothing => {}
        Via::Environment => {
            writeln!(
                f,
                "  goes by way of what HTTPS_PROXY, ALL_PROXY and NO_PROXY say"
            )?;
        }
        Via::Proxy(proxy) => {
            let given = match proxy.has_credentials() {
                true => ", with user and password",
                false => "",
            };
            writeln!(f, "  goes by way of {proxy}{given}")?;
        }
    }
    if let Some(identity) = &out.identity {
        writeln!(f, "  client certificate: {}", identity.file.display())?;
    }
    let names: Vec<_> = out
        .shown
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    if !names.is_empty() {
        writeln!(f, "  headers: {}", names.join(", "))?;
    }
    if let Some(file) = &out.shown.headers_file {
        let file = file.display();
        writeln!(f, "  headers as {file} has them when they are sent")?;
    }
    if let Some(file) = &out.shown.bearer_token_file {
        let file = file.display();
        writeln!(f, "  bearer token as {file} has it when it is sent")?;
    }
    if let Some(negotiate) = &out.negotiate {
        writeln!(f, "  Negotiate: {negotiate}")?;
    }
    for pin in &out.pins {
        writeln!(f, "  pin: {pin}")?;
    }
    match out.min_tls {
        MinTls::Tls12 => Ok(()),
        MinTls::Tls13 => writeln!(f, "  TLS 1.3 or later"),
    }
}

fn count(certs: usize) -> String {
    if certs == 1 {
        "1 certificate".to_owned()
    } else {
        format!("{certs} certificates")
    }
}

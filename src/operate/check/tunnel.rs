//! What `loopkdc run` would do.

use std::cmp::Reverse;

use super::{also_allowed, endpoints, joined, kdcs, realm_line};
use crate::config::{Config, Listen, Order, Proxies, RealmEntry, RealmPattern, StatusSocket};
use crate::relay::upstream::proxy_options::{ForwardProxy, MinTls, ProxyOptions};
use crate::wire::ByService;

/// Every local user may ask.
const USUAL_MODE: u32 = 0o666;

/// What would listen and where each realm goes.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let source = config.source.iter();
    let mut lines: Vec<_> = source
        .map(|path| format!("{}: valid", path.display()))
        .collect();
    let offered = |list| endpoints(list, "not offered");
    lines.push(format!("kdc: {}", offered(&config.listen.kdc)));
    lines.push(format!("kpasswd: {}", offered(&config.listen.kpasswd)));
    lines.extend(status(&config.listen));
    let mut realms: Vec<_> = config.realms.iter().collect();
    realms.sort_by_key(|entry| rank(&entry.pattern));
    lines.extend(realms.iter().flat_map(|entry| realm(entry)));
    let mut patterns = realms.iter().map(|entry| &entry.pattern);
    if !patterns.any(|pattern| matches!(pattern, RealmPattern::Any)) {
        let on_failure = config.default_on_failure;
        lines.push(format!(
            "any other realm: no upstream, on-failure {on_failure}"
        ));
    }
    lines
}

/// Where the status is read, if the configuration says so.
fn status(listen: &Listen) -> Option<String> {
    let mode = listen.status_mode;
    match &listen.status_socket {
        StatusSocket::Usual if mode == USUAL_MODE => None,
        StatusSocket::Usual => Some(format!("status: the usual socket, mode {mode:04o}")),
        StatusSocket::At(path) => Some(format!("status: {}, mode {mode:04o}", path.display())),
        StatusSocket::Off => Some("status: not told".to_owned()),
    }
}

/// In the order in which a realm is matched: the longest match first.
fn rank(pattern: &RealmPattern) -> (u8, Reverse<usize>) {
    match pattern {
        RealmPattern::Exact(_) => (0, Reverse(0)),
        RealmPattern::Suffix(suffix) => (1, Reverse(suffix.as_str().len())),
        RealmPattern::Any => (2, Reverse(0)),
    }
}

fn realm(entry: &RealmEntry) -> Vec<String> {
    let mut lines = vec![realm_line(&entry.pattern.to_string(), &entry.aliases)];
    lines.extend(proxies(entry));
    if let (Some(direct), Some(realm)) = (&entry.direct, entry.realm()) {
        let order = match direct.order {
            Order::Prefer => "where these can be reached, they are asked and no proxy",
            Order::Fallback => "where no proxy can be reached, these are asked",
        };
        lines.push(format!("  direct {}: {order}", direct.order));
        lines.extend(kdcs(realm, &direct.kdcs, ByService::both(true)));
    }
    let (deadline, on_failure) = (entry.deadline.as_secs(), entry.on_failure);
    lines.push(format!("  deadline {deadline} s, on-failure {on_failure}"));
    if let Some(ca) = &entry.ca {
        let count = match ca.certs.len() {
            1 => "1 certificate".to_owned(),
            many => format!("{many} certificates"),
        };
        let path = ca.path.display();
        lines.push(format!(
            "  trusts besides the system's roots: {path} ({count})"
        ));
    }
    lines.extend(outbound(&entry.proxy_options));
    let domain = entry.target_domain.iter();
    lines.extend(domain.map(|domain| format!("  target-domain {domain}")));
    let hint = entry.dclocator_hint.iter();
    lines.extend(hint.map(|hint| format!("  dclocator-hint {hint:#x}")));
    lines
}

fn proxies(entry: &RealmEntry) -> Vec<String> {
    let listed = entry.proxies.listed().iter().enumerate();
    let mut lines: Vec<_> = listed
        .map(|(index, proxy)| format!("  {}. {proxy}", index + 1))
        .collect();
    if let Proxies::Discovered(discovery) = &entry.proxies {
        let realm = &entry.pattern;
        lines.push(format!(
            "  proxies: URI records of _kerberos.{realm} and _kpasswd.{realm}, else SRV records of _kerberos._https.{realm}"
        ));
        if discovery.plaintext {
            lines.push("  allowed in them: http://".to_owned());
        }
        lines.extend(also_allowed(&discovery.networks));
    }
    lines
}

/// How requests get out, where that is not as usual; no secret.
fn outbound(out: &ProxyOptions) -> Vec<String> {
    let mut lines = Vec::new();
    match &out.forward_proxy {
        ForwardProxy::None => {}
        ForwardProxy::Environment => {
            lines.push("  goes by way of what HTTPS_PROXY, ALL_PROXY and NO_PROXY say".to_owned())
        }
        ForwardProxy::Url(proxy) if proxy.has_credentials() => {
            lines.push(format!("  goes by way of {proxy}, with user and password"))
        }
        ForwardProxy::Url(proxy) => lines.push(format!("  goes by way of {proxy}")),
    }
    let identity = out.client_certificate.iter();
    lines.extend(identity.map(|it| format!("  client certificate: {}", it.file.display())));
    let headers = out.headers.fixed.iter();
    let names: Vec<_> = headers.map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        lines.push(format!("  headers: {}", joined(&names)));
    }
    if let Some(file) = &out.headers.headers_file {
        let file = file.display();
        lines.push(format!("  headers as {file} has them when they are sent"));
    }
    if let Some(file) = &out.headers.bearer_token_file {
        let file = file.display();
        lines.push(format!("  bearer token as {file} has it when it is sent"));
    }
    let negotiate = out.negotiate.iter();
    lines.extend(negotiate.map(|negotiate| format!("  Negotiate: {negotiate}")));
    lines.extend(out.pins.iter().map(|pin| format!("  pin: {pin}")));
    if out.min_tls == MinTls::Tls13 {
        lines.push("  TLS 1.3 or later".to_owned());
    }
    lines
}

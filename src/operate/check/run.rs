//! What `loopkdc run` would do.

use super::{also_allowed, endpoints, joined, kdcs, realm_line};
use crate::config::{Config, Order, Proxies, ProxyUrl, RealmEntry, RealmPattern};
use crate::relay::upstream::proxy_options::{ForwardProxy, MinTls, ProxyOptions};
use crate::wire::ByService;

/// What would listen and where each realm goes.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let source = config
        .source
        .as_ref()
        .map(|path| path.display().to_string());
    let offered = |list| endpoints(list, "not offered");
    let mut lines = vec![
        format!("{}: valid", source.as_deref().unwrap_or("the command line")),
        format!("kdc: {}", offered(&config.listen.kdc)),
        format!("kpasswd: {}", offered(&config.listen.kpasswd)),
    ];
    let mut realms: Vec<_> = config.realms.iter().collect();
    realms.sort_by_key(|entry| entry.pattern.rank());
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

fn realm(entry: &RealmEntry) -> Vec<String> {
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
            let mut lines = numbered("", kdc);
            if kpasswd != kdc {
                lines.extend(numbered("kpasswd ", kpasswd));
            }
            return lines;
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

fn numbered(service: &str, proxies: &[(ProxyUrl, bool)]) -> Vec<String> {
    let lines = proxies.iter().zip(1..).map(|((proxy, primary), number)| {
        let primary = if *primary { " (primary)" } else { "" };
        format!("  {service}{number}. {proxy}{primary}")
    });
    lines.collect()
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
    ];
    let set = keys.iter().filter(|(_, is_set)| *is_set);
    let set: Vec<_> = set.map(|(key, _)| *key).collect();
    if !set.is_empty() {
        lines.push(format!("  with {}", joined(&set)));
    }
    lines
}

//! Where one realm's requests go.

use std::net::{IpAddr, SocketAddr};

use super::all_realms::mistake;
use super::{ClientConfig, PUBCONF, fault, is_true, warning};
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::config::{Config, KDC_PORT, KPASSWD_PORT};
use crate::operate::doctor::configuration::find;
use crate::operate::krb5_conf::profile::{PROXY_COST, Relation, SERVER_NAMES};
use crate::operate::krb5_conf::{INSTALL, INSTALL_ONLY};
use crate::operate::terminal::joined;
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::text::is_similar;
use crate::wire::Realm;

/// What becomes of lines that name other servers.
const TAKE_OUT: &str = "take that line out, or have all such lines made comments";

pub(super) fn examine(client: &ClientConfig, config: &Config, realm: &Realm) -> Vec<Finding> {
    let ours = &config.listen.kdc;
    let realm = realm.as_str();
    let stanza = RealmStanza { client, realm };
    let mut findings: Vec<_> = stanza.sssd(ours).into_iter().collect();
    let kdcs = stanza.relations("kdc");
    let is_own = |of: &&Relation| is_one_of(&of.value, KDC_PORT, ours);
    let own = kdcs.iter().position(is_own);
    let Some((before, [own, behind @ ..])) = own.and_then(|own| kdcs.split_at_checked(own)) else {
        findings.push(stanza.elsewhere(&kdcs, config));
        return findings;
    };
    findings.push(stanza.here(before, own));
    findings.extend(stanza.other_family(&kdcs, ours));
    findings.extend(stanza.native());
    findings.extend(stanza.name_behind(behind, ours));
    findings.extend(stanza.primary_kdc(ours));
    findings.extend(stanza.kpasswd_server(&config.listen.kpasswd));
    findings
}

/// What krb5.conf says of a realm.
struct RealmStanza<'a> {
    client: &'a ClientConfig,
    realm: &'a str,
}

impl<'a> RealmStanza<'a> {
    fn relations(&self, name: &str) -> Vec<&'a Relation> {
        self.client.relations(&["realms", self.realm], name)
    }

    /// SSSD's word goes before krb5.conf's.
    fn sssd(&self, ours: &[Endpoint]) -> Option<Finding> {
        let realm = self.realm;
        let servers: Vec<_> = self.client.sssd.get(realm)?.split_whitespace().collect();
        let is_ours = |server: &&str| is_one_of(server, KDC_PORT, ours);
        if servers.iter().all(is_ours) {
            return None;
        }
        let file = format!("{PUBCONF}/kdcinfo.{realm}");
        let what = format!(
            "SSSD has libkrb5 ask {} about {realm}, whatever krb5.conf says ({file})",
            servers.join(", ")
        );
        let purpose = "write krb5_use_kdcinfo = false into the section of its domain in /etc/sssd/sssd.conf, then";
        let fault = fault(what).typed(purpose, "systemctl restart sssd");
        Some(fault.hint(Hint::command(["rm", "-f", &file])))
    }

    /// None of the servers is ours.
    fn elsewhere(&self, kdcs: &[&Relation], config: &Config) -> Finding {
        let (realm, ours) = (self.realm, &config.listen.kdc);
        let is_other_case = |name: &str| name.eq_ignore_ascii_case(realm);
        let is_misspelt = |name: &str| is_similar(name, realm) && !is_served(config, name);
        let finding = if let Some(first) = kdcs.first() {
            fault(self.not_ours(first, ours)).in_file(first.place.position())
        } else if let Some((name, kdc)) = self.stanza_of(is_other_case) {
            let what = format!(
                "the stanza is of {name}, and to libkrb5 {realm} is another realm, as letter case counts"
            );
            fault(what).in_file(kdc.place.position())
        } else if let Some((name, kdc)) = self.stanza_of(is_misspelt) {
            let what = format!("the stanza is of {name}, and the configuration names {realm}");
            fault(what)
                .on(Layer::Configuration)
                .in_file(kdc.place.position())
                .hint("correct whichever is misspelt, in krb5.conf or in [realms] of the configuration")
        } else {
            let none = format!("krb5.conf names no kdc of {realm}");
            let errors = self.client.profile.errors.iter();
            let passed_by = errors.filter(|error| error.kind.is_passed_by());
            let remedies = passed_by.flat_map(|error| mistake(error).hints);
            fault(format!("{none} that libkrb5 reads")).hints(remedies)
        };
        finding.typed("have krb5.conf send it here", INSTALL)
    }

    fn not_ours(&self, relation: &Relation, ours: &[Endpoint]) -> String {
        let (shown, realm, ours) = (relation.shown(), self.realm, joined(ours));
        if let Some((transport @ ("tcp" | "udp"), _)) = relation.value.split_once('/') {
            let is_name = format!("is a name to MIT krb5, with the {transport}/, and is looked up");
            return format!("{shown} of {realm} {is_name}: Heimdal alone knows it for a transport");
        }
        format!("{shown} of {realm} is not loopkdc, which listens at {ours}")
    }

    /// The stanza of a realm whose name is such a one.
    fn stanza_of(&self, is_it: impl Fn(&str) -> bool) -> Option<(&'a str, &'a Relation)> {
        self.client.profile.relations.iter().find_map(|of| {
            let [section, name] = of.sections.as_slice() else {
                return None;
            };
            let is_one = section == "realms" && of.name == "kdc" && is_it(name);
            is_one.then_some((name.as_str(), of))
        })
    }

    /// The first of the servers should be ours.
    fn here(&self, before: &[&Relation], own: &Relation) -> Finding {
        let realm = self.realm;
        if let Some(first) = before.first() {
            let what = format!(
                "{} of {realm} is asked before loopkdc; Java asks whom the first stanza names alone",
                first.shown()
            );
            return warning(what)
                .in_file(first.place.position())
                .hint("take that line out, or write loopkdc's stanza, or the includedir line, above it")
                .typed("or have all such lines made comments", INSTALL_ONLY);
        }
        let what = format!("{realm} goes to {}, where loopkdc listens", own.shown());
        Finding::ok(Layer::Krb5Conf, what).in_file(own.place.position())
    }

    /// glibc refuses an IPv4 address on a network that has IPv6 alone, and the other way round (AI_ADDRCONFIG, getaddrinfo(3)).
    fn other_family(&self, kdcs: &[&Relation], ours: &[Endpoint]) -> Option<Finding> {
        // A path is none of either.
        if kdcs.iter().any(|of| of.value.starts_with('/')) {
            return None;
        }
        let missing = ["IPv4", "IPv6"].into_iter().find(|family| {
            let is_one = |addr: SocketAddr| addr.is_ipv6() == (*family == "IPv6");
            let ours = ours.iter().cloned();
            let ours = ours.filter(|of| of.addr.socket_addr().is_some_and(is_one));
            let ours: Vec<_> = ours.collect();
            let mut kdcs = kdcs.iter();
            !ours.is_empty() && !kdcs.any(|of| is_one_of(&of.value, KDC_PORT, &ours))
        });
        let family = missing?;
        let missing = format!("no kdc of {} is loopkdc's {family} address", self.realm);
        let what =
            format!("{missing}: on a network that has {family} alone, libkrb5 asks no other");
        Some(warning(what).typed("have the stanza name it", INSTALL))
    }

    /// libkrb5's own client of KDC proxies, beside ours.
    fn native(&self) -> Option<Finding> {
        let named = SERVER_NAMES.iter().flat_map(|name| self.relations(name));
        let native = named.into_iter().find(|of| of.proxy().is_some())?;
        let (shown, realm) = (native.shown(), self.realm);
        let what = format!("{shown} of {realm} stands beside loopkdc: {PROXY_COST}");
        let finding = warning(what).in_file(native.place.position());
        Some(finding.typed(TAKE_OUT, INSTALL_ONLY))
    }

    /// Names of other servers are looked up while ours is waited for (k5_sendto of MIT krb5).
    fn name_behind(&self, behind: &[&Relation], ours: &[Endpoint]) -> Option<Finding> {
        let is_name = |of: &&&Relation| {
            let host = host_and_port(&of.value, KDC_PORT).map_or(&*of.value, |(host, _)| host);
            let is_elsewhere = of.proxy().is_none() && !of.value.starts_with('/');
            is_elsewhere && host.parse::<IpAddr>().is_err() && !is_one_of(&of.value, KDC_PORT, ours)
        };
        let name = behind.iter().find(is_name)?;
        let (shown, realm) = (name.shown(), self.realm);
        let what = format!(
            "{shown} of {realm} stands behind loopkdc: when a proxy takes longer than a second, libkrb5 looks that name up, for 10 s where no name server answers"
        );
        let finding = warning(what).in_file(name.place.position());
        Some(finding.typed(TAKE_OUT, INSTALL_ONLY))
    }

    /// MIT krb5 asks it again about each wrong password.
    fn primary_kdc(&self, ours: &[Endpoint]) -> Option<Finding> {
        let asks_dns = self.client.default("dns_lookup_kdc");
        let asks_dns = asks_dns.is_none_or(|of| is_true(&of.value));
        let missing = "MIT krb5 asks DNS for one after replies, which takes 30 s each time where no name server answers";
        let missing = asks_dns.then_some(missing);
        self.should_be_ours(&["primary_kdc", "master_kdc"], KDC_PORT, ours, missing)
    }

    fn kpasswd_server(&self, ours: &[Endpoint]) -> Option<Finding> {
        if ours.is_empty() {
            return None;
        }
        let missing = "password changes go to its admin_server, or to what DNS names";
        self.should_be_ours(&["kpasswd_server"], KPASSWD_PORT, ours, Some(missing))
    }

    /// `missing`: what follows if there is no relation of these names.
    fn should_be_ours(
        &self,
        names: &[&str],
        port: u16,
        ours: &[Endpoint],
        missing: Option<&str>,
    ) -> Option<Finding> {
        let mut named = names.iter().map(|name| self.relations(name));
        let named = named.find(|named| !named.is_empty()).unwrap_or_default();
        let finding = match named.first() {
            _ if named.iter().any(|of| is_one_of(&of.value, port, ours)) => return None,
            Some(first) => warning(self.not_ours(first, ours)).in_file(first.place.position()),
            None => {
                let (name, follows) = (names.first()?, missing?);
                warning(format!("{} has no {name}: {follows}", self.realm))
            }
        };
        Some(finding.typed("have the stanza name it", INSTALL))
    }
}

/// The configuration serves the realm of this name.
fn is_served(config: &Config, name: &str) -> bool {
    let realm = Realm::parse(name.as_bytes());
    realm.is_ok_and(|realm| find(config, &realm).is_some())
}

/// Something of ours listens where `value` leads, as MIT krb5 1.22 reads it: a path, or a host that may have a port.
fn is_one_of(value: &str, usual_port: u16, endpoints: &[Endpoint]) -> bool {
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
    let bracketed = value.strip_prefix('[');
    let bracketed = bracketed.and_then(|rest| rest.split_once(']'));
    let (host, port) = match (bracketed, value.split_once(':')) {
        (Some((host, rest)), _) => (host, rest.strip_prefix(':')),
        (None, Some((host, port))) => (host, Some(port)),
        (None, None) => (value, None),
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

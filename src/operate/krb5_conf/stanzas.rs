//! The stanzas that send the realms of a configuration to `loopkdc run`, and what else krb5.conf says of those realms; where
//! `loopkdc run` listens, by the words of krb5.conf, and what of that systemd's socket units do not open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::profile::{Profile, Relation, SERVER_NAMES};
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::config::{Config, Listen, RealmPattern};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;

/// The first line of a file that is ours to write anew and to take away.
pub(crate) const MARK: &str =
    "# Made by \"loopkdc krb5-conf --install\", which writes it anew; --remove takes it away.";
/// The file that is shipped for those who copy it by hand. Its reasons are these stanzas' too.
const SHIPPED: &str = include_str!("../../../krb5.conf.d/00-loopkdc.conf");

/// What krb5.conf is to say.
#[derive(Debug)]
pub(crate) struct Stanzas {
    /// Realms and aliases that have a stanza, as the configuration spells them. Not empty.
    pub(crate) realms: Vec<String>,
    /// What the stanzas name.
    pub(crate) servers: Servers,
    /// What of the configuration has no stanza, and why.
    pub(crate) notes: Vec<String>,
    /// Domains of hosts, and the realm of each.
    domains: Vec<(String, String)>,
    /// What is to stand under `[libdefaults]`: names and values.
    defaults: Vec<(&'static str, String)>,
}

impl Stanzas {
    /// `unix`: name Unix sockets.
    ///
    /// # Errors
    /// A configuration that has no realm, or no listener, that a krb5.conf could name.
    pub(crate) fn from_config(config: &Config, unix: bool) -> Result<Self, Failure> {
        let mut stanzas = Self {
            realms: Vec::new(),
            servers: Servers::from_listen(&config.listen, unix)?,
            notes: Vec::new(),
            domains: Vec::new(),
            defaults: Vec::new(),
        };
        for entry in &config.realms {
            let RealmPattern::Exact(realm) = &entry.pattern else {
                stanzas.notes.push(format!(
                    "realm {} has no stanza, as Kerberos libraries know no wildcard: name each realm that is used in the configuration",
                    entry.pattern
                ));
                continue;
            };
            if stanzas.add(realm.as_str()) && is_domain(realm.as_str()) {
                let domain = realm.as_str().to_ascii_lowercase();
                stanzas.domains.push((domain, realm.to_string()));
            }
            for alias in &entry.aliases {
                stanzas.add(alias.as_str());
            }
        }
        if stanzas.realms.is_empty() {
            return Err(no_realm());
        }
        Ok(stanzas)
    }

    /// Adds what matters to all realms and `others` do not say.
    pub(crate) fn complete(&mut self, others: &Profile) {
        let first = self.realms.first().cloned().unwrap_or_default();
        let defaults = [
            ("default_realm", first),
            // Who makes a service's name from a host's would ask DNS first, and wait 10 s for a dead name server.
            ("dns_canonicalize_hostname", "false".to_owned()),
        ];
        let is_said = |name: &str| !others.relations(&["libdefaults"], name).is_empty();
        let unsaid = defaults.into_iter().filter(|(name, _)| !is_said(name));
        self.defaults = unsaid.collect();
    }

    /// Adds a realm. False, and a note: it can have no stanza.
    fn add(&mut self, realm: &str) -> bool {
        if is_name(realm) {
            self.realms.push(realm.to_owned());
            return true;
        }
        let note = "has no stanza, as krb5.conf can't hold a name with such characters";
        self.notes.push(format!("realm {realm} {note}"));
        false
    }

    /// The file for krb5.conf.d.
    pub(crate) fn file(&self) -> String {
        format!(
            "{MARK}\n# Sends the Kerberos messages of these realms to loopkdc on this machine.\n#\n{}\n\n{}",
            reasons(),
            self.sections()
        )
    }

    /// `[realms]`, `[domain_realm]` and `[libdefaults]`.
    pub(crate) fn sections(&self) -> String {
        let servers = self.server_lines();
        let mut text = "[realms]\n".to_owned();
        for realm in &self.realms {
            text += &format!("    {realm} = {{\n{servers}    }}\n");
        }
        if !self.domains.is_empty() {
            text += "\n# Which hosts are a realm's is guessed by its name.\n[domain_realm]\n";
        }
        for (domain, realm) in &self.domains {
            text += &format!("    .{domain} = {realm}\n    {domain} = {realm}\n");
        }
        if !self.defaults.is_empty() {
            text += "\n# Nothing else says this.\n[libdefaults]\n";
        }
        for (name, value) in &self.defaults {
            text += &format!("    {name} = {value}\n");
        }
        text
    }

    /// What the stanza of each realm says.
    fn server_lines(&self) -> String {
        let lines = SERVER_NAMES.iter().flat_map(|name| {
            let servers = self.servers.of(name).into_iter();
            servers.map(move |server| format!("        {name} = {server}\n"))
        });
        lines.collect()
    }

    /// The lines of `others` that name servers of these realms, which libkrb5 asks besides.
    pub(crate) fn rivals<'a>(&self, others: &'a Profile) -> Vec<&'a Relation> {
        let is_rival = |relation: &&Relation| {
            let is_ours = |realm| relation.sections == ["realms", realm];
            SERVER_NAMES.contains(&&*relation.name)
                && self.realms.iter().any(|realm| is_ours(realm))
                && !self.servers.of(&relation.name).contains(&&*relation.value)
        };
        others.relations.iter().filter(is_rival).collect()
    }
}

/// Why the stanzas hold these lines and no others.
fn reasons() -> &'static str {
    let from = SHIPPED.find("# Why these lines and no others");
    let rest = from.and_then(|from| SHIPPED.get(from..));
    rest.and_then(|rest| rest.split("\n\n").next())
        .unwrap_or_default()
}

/// A stanza can have this name: to some library the other characters have a meaning of their own.
fn is_name(realm: &str) -> bool {
    !realm.contains([' ', '=', '*', '{', '}', '[', ']', '"', '\'', '#', ';', '\\'])
}

/// The realm has the name of a domain with more than one part.
fn is_domain(realm: &str) -> bool {
    let is_label = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    let mut labels = realm.split('.');
    realm.contains('.') && labels.all(|label| !label.is_empty() && label.bytes().all(is_label))
}

fn no_realm() -> Failure {
    Failure::new(Exit::Config, "the configuration names no realm that krb5.conf could have a stanza for")
        .hint("Kerberos libraries know no wildcard: add each realm that is used, as [realms.\"EXAMPLE.COM\"]")
}

/// Where clients of every realm are to find `loopkdc run`: addresses with their ports, or a path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Servers {
    /// Not empty.
    pub(crate) kdc: Vec<String>,
    /// Empty: password changes are not tunnelled.
    pub(crate) kpasswd: Vec<String>,
}

impl Servers {
    /// One address of each family for each service: on a network that has IPv6 alone, glibc refuses an IPv4 address, and on one
    /// that has IPv4 alone the other one (AI_ADDRCONFIG, getaddrinfo(3)). Or a Unix socket if it is asked for, which MIT krb5
    /// 1.22 and later can use.
    ///
    /// # Errors
    /// No listener that a krb5.conf could name.
    pub(crate) fn from_listen(listen: &Listen, unix: bool) -> Result<Self, Failure> {
        let named = |endpoints| match path(endpoints).filter(|_| unix) {
            Some(path) => vec![path],
            None => addresses(endpoints),
        };
        if unix && !has_socket(listen) {
            return Err(no_socket());
        }
        let kdc = named(&listen.kdc);
        if kdc.is_empty() {
            return Err(no_address());
        }
        let kpasswd = named(&listen.kpasswd);
        Ok(Self { kdc, kpasswd })
    }

    /// What the relation of this name says, in the shortest way; of `kpasswd_server`, gokrb5 takes the port from nowhere else.
    pub(super) fn of(&self, name: &str) -> Vec<&str> {
        if name == "kpasswd_server" {
            return self.kpasswd.iter().map(String::as_str).collect();
        }
        let kdc = self.kdc.iter();
        kdc.map(|kdc| kdc.strip_suffix(":88").unwrap_or(kdc))
            .collect()
    }

    /// What krb5.conf names and no socket unit opens: where units are enabled, theirs are the only sockets.
    ///
    /// `shown`: what systemd says of the units.
    pub(super) fn unopened(&self, shown: &str) -> Vec<Finding> {
        let has = |is_it: &dyn Fn(&str) -> bool| shown.lines().any(is_it);
        if !has(&|line| line.starts_with("UnitFileState=enabled")) {
            return Vec::new();
        }
        let kdc = self.kdc.iter().map(|address| ("loopkdc.socket", address));
        let kpasswd = self.kpasswd.iter();
        kdc.chain(kpasswd.map(|address| ("loopkdc-kpasswd.socket", address)))
            .filter(|(_, address)| !has(&|line| opens(line, address)))
            .map(|(unit, address)| not_opened(unit, address))
            .collect()
    }
}

/// A line such as `Listen=127.0.0.1:88 (Stream)` opens the address.
fn opens(line: &str, address: &str) -> bool {
    let listed = line.strip_prefix("Listen=");
    let listed = listed.and_then(|listed| listed.strip_suffix(" (Stream)"));
    let parsed = |text: &str| text.parse::<SocketAddr>().ok();
    match (listed.and_then(parsed), parsed(address)) {
        (Some(listed), Some(address)) if listed.ip().is_unspecified() => {
            listed.port() == address.port() && (listed.is_ipv6() || address.is_ipv4())
        }
        _ => listed == Some(address),
    }
}

fn not_opened(unit: &str, address: &str) -> Finding {
    Finding::warning(format!(
        "systemd's {unit} does not open {address}, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not"
    ))
    .command("have the unit open it, too", ["systemctl", "edit", unit])
    .command("then", ["systemctl", "restart", unit])
    .command("or name in [listen] what the unit opens", ["systemctl", "cat", unit])
}

/// The KDC service has a Unix socket.
pub(super) fn has_socket(listen: &Listen) -> bool {
    path(&listen.kdc).is_some()
}

/// The first Unix socket. A path that is not UTF-8 was none of a configuration.
fn path(endpoints: &[Endpoint]) -> Option<String> {
    endpoints.iter().find_map(|endpoint| match &endpoint.addr {
        EndpointAddr::Unix(path) => path.to_str().map(str::to_owned),
        EndpointAddr::Loopback(_) | EndpointAddr::Remote(_) => None,
    })
}

/// The first address of each family, of those on loopback if there are any.
fn addresses(endpoints: &[Endpoint]) -> Vec<String> {
    let endpoints = endpoints.iter();
    let addrs = endpoints.filter_map(|endpoint| endpoint.addr.socket_addr());
    // Port 0 is another one after each start.
    let addrs = addrs.filter(|addr| addr.port() != 0).map(reachable);
    let addrs: Vec<_> = addrs.collect();
    let is_local = addrs.iter().any(|addr| addr.ip().is_loopback());
    let first = |fits: fn(&SocketAddr) -> bool| {
        let mut fitting = addrs.iter().filter(|addr| fits(addr));
        fitting.find(|addr| addr.ip().is_loopback() == is_local)
    };
    let first = [first(SocketAddr::is_ipv4), first(SocketAddr::is_ipv6)];
    let first = first.into_iter().flatten();
    first.map(SocketAddr::to_string).collect()
}

/// Where this machine reaches what listens at `addr`.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

fn no_socket() -> Failure {
    let what = "the configuration has no Unix socket for the KDC service";
    Failure::new(Exit::Config, what)
        .hint("add one to kdc under [listen]: kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]")
}

fn no_address() -> Failure {
    let what = "the KDC service has no address and port that krb5.conf could name";
    Failure::new(Exit::Config, what)
        .hint("write kdc = [\"127.0.0.1:88\"] under [listen]")
        .typed(
            "for MIT krb5 1.22 and later, with Unix sockets alone",
            "loopkdc krb5-conf --unix",
        )
}

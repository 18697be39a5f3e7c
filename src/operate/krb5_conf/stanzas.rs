//! The stanzas that send the realms of a configuration to `loopkdc run`, and what else krb5.conf says of those realms.

use super::profile::{Profile, Relation, SERVER_NAMES};
use super::servers::Servers;
use crate::config::{Config, RealmPattern};
use crate::relay::failure::{Exit, Failure};

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
        let fits = is_name(realm);
        if fits {
            self.realms.push(realm.to_owned());
        } else {
            let note = "has no stanza, as krb5.conf can't hold a name with such characters";
            self.notes.push(format!("realm {realm} {note}"));
        }
        fits
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

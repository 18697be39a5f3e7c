//! The stanzas that send the realms of a configuration to `loopkdc run`, and what else krb5.conf says of those realms.

use std::fmt::Write as _;

use super::profile::{Profile, Relation};
use super::servers::Servers;
use crate::config::{Config, RealmPattern};
use crate::relay::failure::{Exit, Failure};

/// The first line of a file that is ours to write anew and to take away.
pub(crate) const MARK: &str =
    "# Made by \"loopkdc krb5-conf --install\", which writes it anew; --remove takes it away.";
/// The file that is shipped for those who copy it by hand. Its reasons are these stanzas' too.
const SHIPPED: &str = include_str!("../../../krb5.conf.d/loopkdc.conf");

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

    fn add(&mut self, realm: &str) -> bool {
        let fits = is_name(realm);
        if fits {
            self.realms.push(realm.to_owned());
        } else {
            let shown = realm.escape_debug();
            self.notes.push(format!(
                "realm {shown} has no stanza, as krb5.conf can't hold a name with such characters"
            ));
        }
        fits
    }

    /// The file for krb5.conf.d.
    pub(crate) fn file(&self) -> String {
        let mut text = format!(
            "{MARK}\n# Sends the Kerberos messages of these realms to loopkdc on this machine.\n"
        );
        let reasons = reasons();
        if !reasons.is_empty() {
            text += &format!("#\n{reasons}\n");
        }
        if self.servers.kdc.starts_with('/') {
            text += "#\n# MIT krb5 1.22 and later alone read a path here. Other libraries take it for a host's name.\n";
        }
        if self.servers.kpasswd.is_none() {
            text += "#\n# No kpasswd_server: the configuration does not offer the password-change service.\n";
        }
        for note in &self.notes {
            text += &format!("#\n# {note}.\n");
        }
        text + "\n" + &self.sections()
    }

    /// `[realms]` and `[domain_realm]`.
    pub(crate) fn sections(&self) -> String {
        let mut text = "[realms]\n".to_owned();
        for realm in &self.realms {
            self.stanza(realm, &mut text);
        }
        if self.domains.is_empty() {
            return text;
        }
        text += "\n# Which hosts are a realm's is guessed by its name.\n[domain_realm]\n";
        for (domain, realm) in &self.domains {
            text += &format!("    .{domain} = {realm}\n    {domain} = {realm}\n");
        }
        text
    }

    fn stanza(&self, realm: &str, text: &mut String) {
        let Servers { kdc, kpasswd } = &self.servers;
        // Infallible: it is a String.
        let _ = writeln!(text, "    {realm} = {{");
        for name in ["kdc", "primary_kdc", "master_kdc"] {
            let _ = writeln!(text, "        {name} = {kdc}");
        }
        if let Some(kpasswd) = kpasswd {
            let _ = writeln!(text, "        kpasswd_server = {kpasswd}");
        }
        text.push_str("    }\n");
    }

    /// What a krb5.conf needs besides, if there is none.
    pub(crate) fn defaults(&self) -> String {
        let realm = self.realms.first().map_or("", String::as_str);
        format!(
            "[libdefaults]\n    default_realm = {realm}\n    dns_canonicalize_hostname = false\n"
        )
    }

    /// What a krb5.conf in which the stanzas are, or will be, says of the same realms and hosts besides.
    pub(super) fn conflicts(&self, profile: &Profile) -> Vec<String> {
        let servers = self
            .realms
            .iter()
            .flat_map(|realm| self.other_servers(profile, realm));
        let names = self
            .domains
            .iter()
            .flat_map(|(domain, realm)| [(format!(".{domain}"), realm), (domain.clone(), realm)]);
        let hosts = names.filter_map(|(name, realm)| other_realm(profile, &name, realm));
        servers.chain(hosts).collect()
    }

    /// Other servers of a realm that has a stanza.
    fn other_servers(&self, profile: &Profile, realm: &str) -> Vec<String> {
        let ours = &self.servers.kdc;
        let kdcs = profile.relations(&["realms", realm], "kdc");
        let first = kdcs.iter().find(|kdc| !kdc.is_ignored);
        let is_first = first.is_some_and(|kdc| kdc.value == *ours);
        let own = kdcs.iter().position(|kdc| kdc.value == *ours);
        let told = |(index, kdc): (usize, &&Relation)| {
            let Relation { value, place, .. } = kdc;
            if (value == ours) != kdc.is_ignored {
                // As it should be, or of no effect.
                return None;
            }
            let why = if value == ours {
                "is ignored by MIT krb5 1.22 and later, as an earlier part is marked as final by a *"
            } else if !is_first && own.is_some_and(|own| index < own) {
                "comes before loopkdc's and is asked first: put the includedir line at the top of the file, or take this one out"
            } else {
                "is tried too, when loopkdc has no answer: take it out if it can't be reached from where the tunnel is needed"
            };
            let value = value.escape_debug();
            Some(format!("{place}: kdc = {value} of {realm} {why}"))
        };
        kdcs.iter().enumerate().filter_map(told).collect()
    }
}

/// Another realm for the same hosts.
fn other_realm(profile: &Profile, name: &str, realm: &str) -> Option<String> {
    let said = profile.relations(&["domain_realm"], name);
    let other = said.iter().find(|relation| relation.value != realm)?;
    let (place, value) = (&other.place, other.value.escape_debug());
    Some(format!(
        "{place}: {name} = {value} differs from loopkdc's {name} = {realm}: what comes first counts"
    ))
}

/// Why the stanzas hold these lines and no others.
fn reasons() -> &'static str {
    let from = SHIPPED.find("# Why these lines and no others");
    let rest = from.and_then(|from| SHIPPED.get(from..));
    rest.and_then(|rest| rest.split("\n\n").next())
        .unwrap_or_default()
}

/// Whether a stanza can have this name: what is left out has a meaning of its own to some library.
fn is_name(realm: &str) -> bool {
    !realm.contains([' ', '=', '*', '{', '}', '[', ']', '"', '\'', '#', ';', '\\'])
}

/// Whether the realm has the name of a domain with more than one part.
fn is_domain(realm: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    realm.contains('.') && realm.split('.').all(is_label)
}

fn no_realm() -> Failure {
    Failure::new(Exit::Config, "the configuration names no realm that krb5.conf could have a stanza for")
        .hint("Kerberos libraries know no wildcard: add each realm that is used, as [realms.\"EXAMPLE.COM\"]")
}

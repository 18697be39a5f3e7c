//! The stanzas that send the realms of a configuration to `loopkdc run`.

use std::fmt::Write as _;

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
pub(crate) struct DropIn {
    /// Realms and aliases that have a stanza, as the configuration spells them. Not empty.
    pub(crate) realms: Vec<String>,
    /// What the stanzas name.
    pub(crate) servers: Servers,
    /// What of the configuration has no stanza, and why.
    pub(crate) notes: Vec<String>,
    /// Hosts' domains, and the realm of each.
    domains: Vec<(String, String)>,
}

impl DropIn {
    /// `unix`: name Unix sockets.
    ///
    /// # Errors
    /// A configuration that has no realm, or no listener, that a krb5.conf could name.
    pub(crate) fn of(config: &Config, unix: bool) -> Result<Self, Failure> {
        let servers = Servers::of(&config.listen, unix)?;
        let mut made = Self {
            realms: Vec::new(),
            servers,
            notes: Vec::new(),
            domains: Vec::new(),
        };
        for entry in &config.realms {
            let RealmPattern::Exact(realm) = &entry.pattern else {
                made.notes.push(format!(
                    "realm {} has no stanza, as Kerberos libraries know no wildcard: name each realm that is used in the configuration",
                    entry.pattern
                ));
                continue;
            };
            if made.add(realm.as_str()) && is_domain(realm.as_str()) {
                let domain = realm.as_str().to_ascii_lowercase();
                made.domains.push((domain, realm.to_string()));
            }
            for alias in &entry.aliases {
                made.add(alias.as_str());
            }
        }
        match made.realms.is_empty() {
            true => Err(no_realm()),
            false => Ok(made),
        }
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

    /// Domains of hosts, and the realm of each.
    pub(crate) fn domains(&self) -> &[(String, String)] {
        &self.domains
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
        let Some(realm) = self.realms.first() else {
            return String::new();
        };
        format!(
            "[libdefaults]\n    default_realm = {realm}\n    dns_canonicalize_hostname = false\n"
        )
    }
}

/// Why the stanzas hold these lines and no others.
fn reasons() -> &'static str {
    let from = SHIPPED.find("# Why these lines and no others");
    let rest = from
        .and_then(|from| SHIPPED.get(from..))
        .unwrap_or_default();
    rest.split("\n\n").next().unwrap_or_default()
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

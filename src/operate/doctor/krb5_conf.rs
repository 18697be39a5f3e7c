//! krb5.conf as libkrb5 would read it: that it sends a realm here, and what else of it costs or misleads.
//!
//! `realm` says where one realm's requests go, `sssd` what its logins bring, `all_realms` what is true of all realms.

mod all_realms;
mod realm;
mod sssd;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::iter;

use super::configuration::find;
use crate::config::Config;
use crate::operate::krb5_conf::profile::{self, Profile, Relation};
use crate::operate::krb5_conf::{Host, Machine, host};
use crate::relay::finding::{Finding, Layer};
use crate::wire::Realm;
use sssd::SssdLogins;

/// Where SSSD says to libkrb5 which KDC to ask (sssd_krb5_locator_plugin(8)).
const PUBCONF: &str = "/var/lib/sss/pubconf";
const PLUGINS: &str = "/krb5/plugins/libkrb5";
const LOCATOR: &str = "sssd_krb5_locator_plugin.so";
/// More realms than SSSD has domains, and more characters than it writes of one.
const MAX_LOCATED: usize = 256;
const MAX_SERVERS: usize = 4096;

/// What is said of these realms, as the configuration or the command line spells them.
#[must_use]
pub fn examine(client: &ClientConfig, config: &Config, realms: &[Realm]) -> Vec<Finding> {
    let mut findings = files_and_stanzas(client, config, realms);
    findings.extend(sssd_logins(client, config, realms));
    findings.extend(all_realms::defaults(client, config));
    findings.extend(all_realms::paths(client, realms));
    findings
}

/// Of that, what is said of the files and of these realms in them.
#[must_use]
pub fn files_and_stanzas(client: &ClientConfig, config: &Config, realms: &[Realm]) -> Vec<Finding> {
    let misspelt = all_realms::misspelt_default(client, config);
    let mut findings: Vec<_> = misspelt.into_iter().collect();
    findings.extend(all_realms::files(client));
    for realm in realms {
        findings.extend(realm::examine(client, config, realm));
    }
    findings
}

/// Whether SSSD's logins in these realms bring a ticket, by whichever name it calls them.
#[must_use]
pub fn sssd_logins(client: &ClientConfig, config: &Config, realms: &[Realm]) -> Vec<Finding> {
    let logins = &client.sssd_logins;
    let found = realms.iter().filter_map(|realm| find(config, realm));
    let names = found.flat_map(|(realm, entry)| iter::once(realm).chain(entry.aliases.clone()));
    let of_realms = names.flat_map(|realm| logins.examine(&realm));
    logins.hidden().into_iter().chain(of_realms).collect()
}

fn warning(what: impl Into<String>) -> Finding {
    Finding::warning(what).on(Layer::Krb5Conf)
}

fn fault(what: impl Into<String>) -> Finding {
    Finding::fault(what).on(Layer::Krb5Conf)
}

/// What on this machine decides whom a Kerberos library asks.
#[derive(Debug)]
pub struct ClientConfig {
    /// KRB5_CONFIG.
    named: Option<String>,
    /// What the files say that libkrb5 reads.
    profile: Profile,
    /// Why none of them can be read.
    unreadable: Option<String>,
    /// SSSD's servers by realm, if libkrb5 asks for them.
    sssd: HashMap<String, String>,
    sssd_logins: SssdLogins,
    /// Heimdal's library.
    heimdal: Option<String>,
    /// What Java reads instead.
    java: Option<String>,
}

impl ClientConfig {
    /// Of this machine and this process's environment.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::read(&mut Machine)
    }

    fn read(host: &mut dyn Host) -> Self {
        let files = host::files(host);
        let (profile, missing) = profile::read_all(&files, host);
        let why: Vec<_> = missing.iter().map(|(_, why)| why.as_str()).collect();
        Self {
            named: host.variable("KRB5_CONFIG"),
            profile,
            unreadable: (missing.len() == files.len()).then(|| why.join("; ")),
            sssd: sssd(host),
            sssd_logins: SssdLogins::read(host),
            heimdal: host::library(host, |name| name.starts_with(host::HEIMDAL), ""),
            java: java(host),
        }
    }

    /// The realm of names without one.
    #[must_use]
    pub fn default_realm(&self) -> Option<&str> {
        self.default("default_realm").map(|of| of.value.as_str())
    }

    /// What `[libdefaults]` says: the first one counts.
    fn default(&self, name: &str) -> Option<&Relation> {
        self.relations(&["libdefaults"], name).into_iter().next()
    }

    /// What is said of a name in these sections.
    fn relations(&self, sections: &[&str], name: &str) -> Vec<&Relation> {
        self.profile.relations(sections, name)
    }
}

/// All other words are false to libkrb5.
fn is_true(value: &str) -> bool {
    ["y", "yes", "true", "t", "1", "on"].contains(&value.to_ascii_lowercase().as_str())
}

/// The file that Java is told to read, or that its own folder has.
fn java(host: &mut dyn Host) -> Option<String> {
    let options = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"].map(|name| host.variable(name));
    let options = options.iter().flatten();
    let mut options = options.flat_map(|of| of.split_whitespace());
    let told = options.find_map(|option| option.strip_prefix("-Djava.security.krb5.conf="));
    if let Some(told) = told {
        return (told != host::FILE).then(|| told.to_owned());
    }
    let own = format!("{}/conf/security/krb5.conf", host.variable("JAVA_HOME")?);
    host.text(&own).ok().map(|_| own)
}

fn sssd(host: &mut dyn Host) -> HashMap<String, String> {
    let is_off = host.variable("SSSD_KRB5_LOCATOR_DISABLE").is_some();
    if is_off || host::library(host, |name| name == LOCATOR, PLUGINS).is_none() {
        return HashMap::new();
    }
    let names = host.names(PUBCONF).unwrap_or_default();
    let names = names.iter();
    let realms = names.filter_map(|name| name.strip_prefix("kdcinfo."));
    let servers = realms.take(MAX_LOCATED).filter_map(|realm| {
        let servers = host.text(&format!("{PUBCONF}/kdcinfo.{realm}")).ok()?;
        let servers = servers.chars().take(MAX_SERVERS).collect();
        Some((realm.to_owned(), servers))
    });
    servers.collect()
}

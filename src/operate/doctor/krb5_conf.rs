//! krb5.conf as libkrb5 would read it: that it sends a realm here, and what else of it costs or misleads.
//!
//! Pure but for what [`Scene`] reads, through its argument. `realm` with `server` says where one realm's requests go,
//! `all_realms` what is true of all of them.

mod all_realms;
mod realm;
mod server;

#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::operate::krb5_conf::profile::{self, Profile, Relation};
use crate::operate::krb5_conf::{DROP_IN, Host, Machine, host};
use crate::relay::finding::{Finding, Layer};
use crate::wire::Realm;

/// Where SSSD says to libkrb5 which KDC to ask (sssd_krb5_locator_plugin(8)).
const PUBCONF: &str = "/var/lib/sss/pubconf";
const PLUGINS: &str = "/krb5/plugins/libkrb5";
const LOCATOR: &str = "sssd_krb5_locator_plugin.so";
/// More realms than SSSD has domains, more servers of one than it writes down, and more characters than a host's name and its
/// port have.
const MAX_LOCATED: usize = 256;
const MAX_SERVERS: usize = 64;
const MAX_SERVER: usize = 264;
/// What can name another krb5.conf to Java.
const JAVA_OPTIONS: [&str; 2] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"];

/// More servers than anybody names beside one.
const MAX_OTHERS: usize = 64;

/// What is said of these realms, as the configuration or the command line spells them.
///
/// `unreachable` are those of [`others`] that were tried and did not answer.
#[must_use]
pub fn examine(
    scene: &Scene,
    config: &Config,
    realms: &[Realm],
    unreachable: &[String],
) -> Vec<Finding> {
    let mut findings = all_realms::files(scene);
    for realm in realms {
        findings.extend(realm::examine(scene, config, realm, unreachable));
    }
    findings.extend(all_realms::defaults(scene, config));
    findings.extend(all_realms::paths(scene, realms));
    findings
}

/// It takes too long to read it, on a disk of the network that does not answer, for one.
pub(super) fn late() -> Finding {
    let files = host::files(&Machine).join(", ");
    fault(format!(
        "{}, or what is included there, is not read within {} s: libkrb5 waits for it, too",
        files.escape_debug(),
        super::MACHINE.as_secs_f64()
    ))
    .command("see whether the disk that it is on answers", ["findmnt"])
}

/// Hosts with their ports that krb5.conf names beside loopkdc for these realms, to be tried over TCP.
#[must_use]
pub fn others(scene: &Scene, config: &Config, realms: &[Realm]) -> Vec<String> {
    let of = |realm: &Realm| realm::others(scene, config, realm);
    let mut others: Vec<_> = realms.iter().flat_map(of).collect();
    others.sort();
    others.dedup();
    others.truncate(MAX_OTHERS);
    others
}

fn warning(what: impl Into<String>) -> Finding {
    Finding::warning(what).on(Layer::Krb5Conf)
}

fn fault(what: impl Into<String>) -> Finding {
    Finding::fault(what).on(Layer::Krb5Conf)
}

/// The words of a command.
fn words(command: &'static str) -> impl Iterator<Item = &'static str> {
    command.split(' ')
}

/// What on this machine decides whom a Kerberos library asks.
#[derive(Debug)]
pub struct Scene {
    /// KRB5_CONFIG.
    named: Option<String>,
    /// The files that libkrb5 reads first.
    files: Vec<String>,
    /// Those of them that are not there or can't be read, and why.
    missing: Vec<(String, String)>,
    /// What is read of the others.
    profile: Profile,
    /// Whether the drop-in is in its place.
    has_drop_in: bool,
    /// SSSD's servers by realm, if libkrb5 asks for them: the file, and what it names.
    sssd: Vec<SssdServers>,
    /// Heimdal's library.
    heimdal: Option<String>,
    /// What has Java read another file.
    java: Option<String>,
}

/// What SSSD says of a realm.
#[derive(Debug)]
struct SssdServers {
    realm: String,
    file: String,
    servers: Vec<String>,
}

impl Scene {
    /// Of this machine and this process's environment.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::read(&mut Machine)
    }

    fn read(host: &mut dyn Host) -> Self {
        let files = host::files(host);
        let (profile, missing) = profile::read_all(&files, host);
        Self {
            named: host.variable("KRB5_CONFIG"),
            files,
            missing,
            profile,
            has_drop_in: host.text(DROP_IN).is_ok(),
            sssd: sssd(host),
            heimdal: host::heimdal(host),
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
        self.said(&["libdefaults"], name).into_iter().next()
    }

    /// What is said of a name in these sections, and not ignored.
    fn said(&self, sections: &[&str], name: &str) -> Vec<&Relation> {
        let mut said = self.profile.relations(sections, name);
        said.retain(|relation| !relation.is_ignored);
        said
    }

    /// Whether `[libdefaults]` switches something that is on unless it is switched off.
    fn is_on(&self, name: &str) -> bool {
        self.default(name).is_none_or(|of| !is_off(&of.value))
    }
}

/// Whether a boolean is false, as all are to libkrb5 that are not one of these words.
fn is_off(value: &str) -> bool {
    !["y", "yes", "true", "t", "1", "on"].contains(&value.to_ascii_lowercase().as_str())
}

fn sssd(host: &mut dyn Host) -> Vec<SssdServers> {
    let is_off = host.variable("SSSD_KRB5_LOCATOR_DISABLE").is_some();
    if is_off || host::library(host, |name| name == LOCATOR, PLUGINS).is_none() {
        return Vec::new();
    }
    let names = host.names(PUBCONF).unwrap_or_default();
    let realms = names
        .iter()
        .filter_map(|name| name.strip_prefix("kdcinfo."))
        .take(MAX_LOCATED);
    let read = |realm: &str| {
        let file = format!("{PUBCONF}/kdcinfo.{realm}");
        let text = host.text(&file).ok()?;
        let servers = text.split_whitespace().take(MAX_SERVERS);
        let servers: Vec<_> = servers
            .map(|server| server.chars().take(MAX_SERVER).collect())
            .collect();
        (!servers.is_empty()).then(|| SssdServers {
            realm: realm.to_owned(),
            file,
            servers,
        })
    };
    realms.filter_map(read).collect()
}

/// JDK 9 and later look for a file of their own first.
fn java(host: &mut dyn Host) -> Option<String> {
    let options = JAVA_OPTIONS.iter().find_map(|name| {
        let options = host.variable(name)?;
        let mut words = options.split_whitespace();
        let file = words.find_map(|word| word.strip_prefix("-Djava.security.krb5.conf="))?;
        (file != host::FILE).then(|| format!("{name} has it read {file}"))
    });
    options.or_else(|| {
        let file = format!("{}/conf/security/krb5.conf", host.variable("JAVA_HOME")?);
        host.text(&file).ok().map(|_| format!("it reads {file}"))
    })
}

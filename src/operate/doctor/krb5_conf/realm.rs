//! Where one realm's requests go.

use super::server::{NamedServer, has_both_families, shown};
use super::{Scene, fault, warning, words};
use crate::config::Config;
use crate::config::endpoint::Endpoint;
use crate::operate::krb5_conf::profile::Relation;
use crate::operate::krb5_conf::{DROP_IN, INSTALL};
use crate::relay::finding::{Finding, Hint, Layer};
use crate::wire::Realm;

const KDC: u16 = 88;
const KPASSWD: u16 = 464;

pub(super) fn examine(
    scene: &Scene,
    config: &Config,
    realm: &Realm,
    unreachable: &[String],
) -> Vec<Finding> {
    let stanza = RealmStanza {
        scene,
        realm: realm.as_str(),
        kdc: &config.listen.kdc,
        kpasswd: &config.listen.kpasswd,
    };
    let mut findings: Vec<_> = stanza.sssd().into_iter().collect();
    let kdcs = stanza.said("kdc");
    let Some(ours) = kdcs.iter().position(|of| stanza.is_ours(of)) else {
        findings.push(stanza.elsewhere(&kdcs));
        return findings;
    };
    findings.extend(stanza.here(&kdcs, ours));
    findings.extend(kdcs.iter().filter_map(|of| stanza.prefixed(of)));
    findings.extend(stanza.localhost(&kdcs));
    let behind = kdcs.iter().skip(ours + 1).filter(|of| !stanza.is_ours(of));
    findings.extend(behind.filter_map(|of| stanza.beside(of, unreachable)));
    findings.extend(stanza.primary());
    findings.extend(stanza.passwords());
    findings
}

/// Hosts with their ports beside ours.
pub(super) fn others(scene: &Scene, config: &Config, realm: &Realm) -> Vec<String> {
    let kdcs = scene.said(&["realms", realm.as_str()], "kdc");
    let others = kdcs
        .into_iter()
        .filter_map(|of| match NamedServer::read(&of.value, KDC) {
            server if server.is_one_of(&config.listen.kdc) => None,
            NamedServer::At { host, port } => Some(named(host, port)),
            _ => None,
        });
    others.collect()
}

fn named(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// `krb5.conf, line 7: kdc = 127.0.0.1`.
fn cited(of: &Relation) -> String {
    format!("{}: {} = {}", of.place, of.name, of.value.escape_debug())
}

/// What krb5.conf says of a realm, and where we listen.
struct RealmStanza<'a> {
    scene: &'a Scene,
    realm: &'a str,
    kdc: &'a [Endpoint],
    kpasswd: &'a [Endpoint],
}

impl<'a> RealmStanza<'a> {
    fn said(&self, name: &str) -> Vec<&'a Relation> {
        self.scene.said(&["realms", self.realm], name)
    }

    fn is_ours(&self, of: &Relation) -> bool {
        NamedServer::read(&of.value, KDC).is_one_of(self.kdc)
    }

    /// SSSD's word goes before krb5.conf's.
    fn sssd(&self) -> Option<Finding> {
        let realm = self.realm;
        let sssd = self.scene.sssd.iter().find(|of| of.realm == realm)?;
        let is_ours = |value: &String| NamedServer::read(value, KDC).is_one_of(self.kdc);
        if sssd.servers.iter().all(is_ours) {
            return None;
        }
        let (servers, file) = (sssd.servers.join(", "), sssd.file.as_str());
        let servers = servers.escape_debug();
        let what = format!(
            "SSSD has libkrb5 ask {servers} about {realm}, whatever krb5.conf says ({file})"
        );
        let purpose = "write krb5_use_kdcinfo = false into the section of its domain in /etc/sssd/sssd.conf, then";
        let restart = ["systemctl", "restart", "sssd"];
        let remove = Hint::command(["rm", "-f", file]);
        Some(fault(what).command(purpose, restart).hint(remove))
    }

    /// None of the servers is ours.
    fn elsewhere(&self, kdcs: &[&Relation]) -> Finding {
        if let Some(finding) = kdcs.iter().find_map(|of| self.prefixed(of)) {
            return finding;
        }
        let Some(first) = kdcs.first() else {
            return self.nowhere();
        };
        let ours = shown(self.kdc);
        let but = match NamedServer::read(&first.value, KDC) {
            server if server.is_local() => {
                format!("is not where loopkdc listens, which is at {ours}")
            }
            NamedServer::Proxy => "has libkrb5 ask the proxy itself, without loopkdc".to_owned(),
            _ => format!("is not loopkdc, which listens at {ours}"),
        };
        self.install(fault(format!("{} of {} {but}", cited(first), self.realm)))
    }

    /// There is no server.
    fn nowhere(&self) -> Finding {
        let realm = self.realm;
        // Those of stanzas whose names differ in letter case, if at all.
        let mut others = self.scene.profile.relations.iter().filter(|of| {
            let is_of = |name: &String| name.eq_ignore_ascii_case(realm);
            of.name == "kdc"
                && matches!(of.sections.as_slice(), [section, name] if section == "realms" && is_of(name))
        });
        let ignored = others
            .clone()
            .find(|of| of.is_ignored && of.sections.iter().any(|name| name == realm));
        if let Some(of) = ignored {
            return warning(format!(
                "{} of {realm} is ignored by MIT krb5 1.22 and later, as an earlier part is marked as final by a *",
                cited(of)
            ))
            .hint("take the * away, from [realms]* or from the realm's name");
        }
        if let Some(Relation {
            place, sections, ..
        }) = others.next()
        {
            let name = sections.last().map_or("", String::as_str).escape_debug();
            let purpose = "name the realm as users type it in the configuration, then";
            return fault(format!(
                "{place}: the stanza is of {name}, and to libkrb5 {realm} is another realm, as letter case counts"
            ))
            .command(purpose, words(INSTALL));
        }
        if self.scene.has_drop_in && self.scene.named.is_none() {
            return self.install(fault(format!(
                "no kdc of {realm} is read: {DROP_IN} is there, and krb5.conf does not include it, or it lacks the realm"
            )));
        }
        let instead = if self.scene.is_on("dns_lookup_kdc") {
            "libkrb5 looks for one in DNS"
        } else {
            "dns_lookup_kdc = false has libkrb5 look nowhere else"
        };
        self.install(fault(format!(
            "krb5.conf names no kdc of {realm}: {instead}"
        )))
    }

    fn install(&self, fault: Finding) -> Finding {
        let purpose = match &self.scene.named {
            Some(_) => "unset KRB5_CONFIG, and",
            None => "have krb5.conf send it here",
        };
        fault.command(purpose, words(INSTALL))
    }

    /// The first of the servers should be ours.
    fn here(&self, kdcs: &[&Relation], ours: usize) -> Option<Finding> {
        let (realm, own) = (self.realm, kdcs.get(ours)?);
        let place = &own.place;
        let first = kdcs.first().filter(|_| ours > 0);
        Some(match first {
            None => Finding::ok(
                Layer::Krb5Conf,
                format!(
                    "{realm} goes to kdc = {}, where loopkdc listens ({place})",
                    own.value.escape_debug()
                ),
            ),
            Some(first) => warning(format!(
                "{} of {realm} is asked first, and loopkdc after it ({place}); Java asks whom the first stanza names alone",
                cited(first)
            ))
            .hint("take that line out, or write loopkdc's stanza, or the includedir line, above it"),
        })
    }

    fn prefixed(&self, of: &Relation) -> Option<Finding> {
        let NamedServer::Prefixed(bare) = NamedServer::read(&of.value, KDC) else {
            return None;
        };
        let what = format!(
            "{} is a host of that name to MIT krb5, and has Heimdal never turn to TCP",
            cited(of)
        );
        Some(fault(what).hint(format!(
            "write it without what stands before the /:\n    kdc = {}",
            bare.escape_debug()
        )))
    }

    fn localhost(&self, kdcs: &[&Relation]) -> Option<Finding> {
        let is_localhost = |of: &&&Relation| NamedServer::read(&of.value, KDC).is_localhost();
        let of = kdcs.iter().find(is_localhost)?;
        if has_both_families(self.kdc) {
            return None;
        }
        let what = format!(
            "{}: localhost means both 127.0.0.1 and ::1 to most clients, and loopkdc listens at {} alone: they lose a second",
            of.place,
            shown(self.kdc)
        );
        let purpose = "name the address in the place of localhost";
        Some(warning(what).command(purpose, words(INSTALL)))
    }

    /// A server behind ours. Whether it can be reached, only a try can tell.
    fn beside(&self, of: &Relation, unreachable: &[String]) -> Option<Finding> {
        let NamedServer::At { host, port } = NamedServer::read(&of.value, KDC) else {
            return None;
        };
        let what = format!("{} of {} is tried besides", cited(of), self.realm);
        if !unreachable.contains(&named(host, port)) {
            let what = format!("{what}, when loopkdc has no answer or takes more than a second");
            return Some(Finding::ok(Layer::Krb5Conf, what));
        }
        let what = format!(
            "{what}, and can't be reached from here: what loopkdc has no answer to takes seconds longer"
        );
        Some(warning(what).hint(format!(
            "take that line out; on the network where it answers, loopkdc asks it too: direct = \"prefer\" and kdcs = [\"{}\"] in the realm's table",
            host.escape_debug()
        )))
    }

    /// Without one, MIT krb5 asks DNS after each reply.
    fn primary(&self) -> Option<Finding> {
        let realm = self.realm;
        let said = ["primary_kdc", "master_kdc"].map(|name| self.said(name));
        let Some(primary) = said.into_iter().find(|said| !said.is_empty()) else {
            let what = format!(
                "{realm} has no primary_kdc: MIT krb5 asks DNS for one after replies, which takes 30 s each time where no name server answers"
            );
            let missing = warning(what)
                .command("have the stanza name it", words(INSTALL))
                .hint("or write under [libdefaults]\n    dns_lookup_kdc = false");
            return self.scene.is_on("dns_lookup_kdc").then_some(missing);
        };
        if primary.iter().any(|of| self.is_ours(of)) {
            return None;
        }
        let what = format!(
            "{} of {realm} is not loopkdc: MIT krb5 asks it again about each wrong password",
            cited(primary.first()?)
        );
        Some(warning(what).command("name the same server as kdc does", words(INSTALL)))
    }

    fn passwords(&self) -> Option<Finding> {
        if self.kpasswd.is_empty() {
            return None;
        }
        let realm = self.realm;
        let said = self.said("kpasswd_server");
        let is_ours =
            |of: &&Relation| NamedServer::read(&of.value, KPASSWD).is_one_of(self.kpasswd);
        if said.iter().any(is_ours) {
            return None;
        }
        let what = match (said.first(), self.said("admin_server").first()) {
            (Some(first), _) => {
                let ours = shown(self.kpasswd);
                format!(
                    "{} of {realm} is not loopkdc, which listens at {ours}",
                    cited(first)
                )
            }
            (None, Some(admin)) => format!(
                "{realm} has no kpasswd_server: password changes go to {}, which is its admin_server",
                admin.value.escape_debug()
            ),
            (None, None) => {
                format!("{realm} has no kpasswd_server: password changes go to what DNS names")
            }
        };
        Some(warning(what).command("have the stanza name it", words(INSTALL)))
    }
}

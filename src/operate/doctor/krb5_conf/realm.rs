//! Where one realm's requests go.

use super::files::{fault, warn};
use super::scene::Scene;
use super::server::{Server, has_both_families, shown};
use crate::config::Config;
use crate::config::endpoint::Endpoint;
use crate::operate::doctor::line::{Layer, Line};
use crate::operate::krb5_conf::profile::Relation;
use crate::operate::krb5_conf::{DROP_IN, INSTALL};
use crate::relay::text::shell;
use crate::wire::Realm;

const KDC: u16 = 88;
const KPASSWD: u16 = 464;

pub(super) fn examine(
    scene: &Scene,
    config: &Config,
    realm: &Realm,
    unreachable: &[String],
) -> Vec<Line> {
    let view = View {
        scene,
        realm: realm.as_str(),
        kdc: &config.listen.kdc,
        kpasswd: &config.listen.kpasswd,
    };
    let mut lines: Vec<_> = view.located().into_iter().collect();
    let kdcs = view.said("kdc");
    let ours = kdcs.iter().position(|of| view.is_ours(of));
    let Some(ours) = ours else {
        lines.push(view.elsewhere(&kdcs));
        return lines;
    };
    lines.extend(view.here(&kdcs, ours));
    lines.extend(kdcs.iter().filter_map(|of| view.prefixed(of)));
    lines.extend(view.localhost(&kdcs));
    lines.extend(view.beside(&kdcs, ours, unreachable));
    lines.extend(view.primary());
    lines.extend(view.passwords());
    lines
}

/// Hosts with their ports beside ours.
pub(super) fn others(scene: &Scene, config: &Config, realm: &Realm) -> Vec<String> {
    let kdcs = scene.said(&["realms", realm.as_str()], "kdc");
    let others = kdcs
        .into_iter()
        .filter_map(|of| match Server::read(&of.value, KDC) {
            server if server.is_one_of(&config.listen.kdc) => None,
            Server::At { host, port } => Some(named(host, port)),
            _ => None,
        });
    others.collect()
}

fn named(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

struct View<'a> {
    scene: &'a Scene,
    realm: &'a str,
    kdc: &'a [Endpoint],
    kpasswd: &'a [Endpoint],
}

impl<'a> View<'a> {
    fn said(&self, name: &str) -> Vec<&'a Relation> {
        self.scene.said(&["realms", self.realm], name)
    }

    fn is_ours(&self, of: &Relation) -> bool {
        Server::read(&of.value, KDC).is_one_of(self.kdc)
    }

    /// SSSD's word goes before krb5.conf's.
    fn located(&self) -> Option<Line> {
        let realm = self.realm;
        let located = self.scene.located.iter().find(|of| of.realm == realm)?;
        let is_ours = |value: &String| Server::read(value, KDC).is_one_of(self.kdc);
        if located.servers.iter().all(is_ours) {
            return None;
        }
        let (servers, file) = (located.servers.join(", "), &located.file);
        Some(fault(
            format!(
                "SSSD has libkrb5 ask {} about {realm}, whatever krb5.conf says ({file})",
                servers.escape_debug()
            ),
            format!(
                "write krb5_use_kdcinfo = false into the section of its domain in /etc/sssd/sssd.conf, then: systemctl restart sssd; rm -f {}",
                shell::word(file)
            ),
        ))
    }

    /// None of the servers is ours.
    fn elsewhere(&self, kdcs: &[&Relation]) -> Line {
        let (realm, ours) = (self.realm, shown(self.kdc));
        if let Some(line) = kdcs.iter().find_map(|of| self.prefixed(of)) {
            return line;
        }
        let Some(first) = kdcs.first() else {
            return self.nowhere();
        };
        let (place, value) = (&first.place, first.value.escape_debug());
        let what = match Server::read(&first.value, KDC) {
            server if server.is_local() => format!(
                "{place}: kdc = {value} of {realm} is not where loopkdc listens, which is at {ours}"
            ),
            Server::Proxy(_) => format!(
                "{place}: kdc = {value} of {realm} has libkrb5 ask the proxy itself, without loopkdc"
            ),
            _ => {
                format!("{place}: kdc = {value} of {realm} is not loopkdc, which listens at {ours}")
            }
        };
        fault(what, self.install())
    }

    /// There is no server.
    fn nowhere(&self) -> Line {
        let realm = self.realm;
        let relations = &self.scene.profile.relations;
        let of_kdcs = relations.iter().filter(|of| of.name == "kdc");
        let ignored = of_kdcs
            .clone()
            .find(|of| of.is_ignored && of.sections == ["realms", realm]);
        if let Some(Relation { place, value, .. }) = ignored {
            let value = value.escape_debug();
            return warn(
                format!(
                    "{place}: kdc = {value} of {realm} is ignored by MIT krb5 1.22 and later, as an earlier part is marked as final by a *"
                ),
                "take the * away, from [realms]* or from the realm's name",
            );
        }
        let mut other = of_kdcs.filter_map(|of| match of.sections.as_slice() {
            [section, name] if section == "realms" => Some((name, &of.place)),
            _ => None,
        });
        if let Some((name, place)) = other.find(|(name, _)| name.eq_ignore_ascii_case(realm)) {
            let name = name.escape_debug();
            return fault(
                format!(
                    "{place}: the stanza is of {name}, and to libkrb5 {realm} is another realm, as letter case counts"
                ),
                format!("name the realm as users type it in the configuration, then: {INSTALL}"),
            );
        }
        if self.scene.has_drop_in && self.scene.named.is_none() {
            return fault(
                format!(
                    "no kdc of {realm} is read: {DROP_IN} is there, and krb5.conf does not include it, or it lacks the realm"
                ),
                self.install(),
            );
        }
        let instead = match self.scene.is_on("dns_lookup_kdc") {
            true => "libkrb5 looks for one in DNS",
            false => "dns_lookup_kdc = false has libkrb5 look nowhere else",
        };
        fault(
            format!("krb5.conf names no kdc of {realm}: {instead}"),
            self.install(),
        )
    }

    fn install(&self) -> String {
        match &self.scene.named {
            Some(_) => format!("unset KRB5_CONFIG, and: {INSTALL}"),
            None => format!("have krb5.conf send it here: {INSTALL}"),
        }
    }

    /// The first of the servers should be ours.
    fn here(&self, kdcs: &[&Relation], ours: usize) -> Option<Line> {
        let (realm, own) = (self.realm, kdcs.get(ours)?);
        let (place, value) = (&own.place, own.value.escape_debug());
        let Some(first) = kdcs.first().filter(|_| ours > 0) else {
            return Some(Line::ok(
                Layer::Krb5Conf,
                format!("{realm} goes to kdc = {value}, where loopkdc listens ({place})"),
            ));
        };
        let (before, other) = (&first.place, first.value.escape_debug());
        Some(warn(
            format!(
                "{before}: kdc = {other} of {realm} is asked first, and loopkdc after it ({place}); Java asks whom the first stanza names alone"
            ),
            "take that line out, or write loopkdc's stanza, or the includedir line, above it",
        ))
    }

    fn prefixed(&self, of: &Relation) -> Option<Line> {
        let Server::Prefixed(bare) = Server::read(&of.value, KDC) else {
            return None;
        };
        let Relation { place, value, .. } = of;
        Some(fault(
            format!(
                "{place}: kdc = {} is a host of that name to MIT krb5, and has Heimdal never turn to TCP",
                value.escape_debug()
            ),
            format!(
                "write it without what stands before the /:\n    kdc = {}",
                bare.escape_debug()
            ),
        ))
    }

    fn localhost(&self, kdcs: &[&Relation]) -> Option<Line> {
        let is_localhost = |of: &&&Relation| Server::read(&of.value, KDC).is_localhost();
        let of = kdcs.iter().find(is_localhost)?;
        if has_both_families(self.kdc) {
            return None;
        }
        Some(warn(
            format!(
                "{}: localhost means both 127.0.0.1 and ::1 to most clients, and loopkdc listens at {} alone: they lose a second",
                of.place,
                shown(self.kdc)
            ),
            format!("name the address in the place of localhost: {INSTALL}"),
        ))
    }

    /// Servers behind ours. Which of them can be reached, only a try can tell.
    fn beside(&self, kdcs: &[&Relation], ours: usize, unreachable: &[String]) -> Vec<Line> {
        let behind = kdcs.iter().skip(ours + 1).filter(|of| !self.is_ours(of));
        let line = |of: &&Relation| {
            let Server::At { host, port } = Server::read(&of.value, KDC) else {
                return None;
            };
            let (place, value, realm) = (&of.place, of.value.escape_debug(), self.realm);
            let what = format!("{place}: kdc = {value} of {realm} is tried besides");
            match unreachable.contains(&named(host, port)) {
                true => Some(warn(
                    format!(
                        "{what}, and can't be reached from here: what loopkdc has no answer to takes seconds longer"
                    ),
                    format!(
                        "take that line out; on the network where it answers, loopkdc asks it too: direct = \"prefer\" and kdcs = [\"{}\"] in the realm's table",
                        host.escape_debug()
                    ),
                )),
                false => Some(Line::ok(
                    Layer::Krb5Conf,
                    format!("{what}, when loopkdc has no answer or takes more than a second"),
                )),
            }
        };
        behind.filter_map(line).collect()
    }

    /// Without one, MIT krb5 asks DNS after each reply.
    fn primary(&self) -> Option<Line> {
        let realm = self.realm;
        let primary = self.said("primary_kdc");
        let primary = match primary.is_empty() {
            true => self.said("master_kdc"),
            false => primary,
        };
        let Some(first) = primary.first() else {
            if !self.scene.is_on("dns_lookup_kdc") {
                return None;
            }
            return Some(warn(
                format!(
                    "{realm} has no primary_kdc: MIT krb5 asks DNS for one after replies, which takes 30 s each time where no name server answers"
                ),
                format!(
                    "have the stanza name it, as {INSTALL} does; or write under [libdefaults]\n    dns_lookup_kdc = false"
                ),
            ));
        };
        let (place, value) = (&first.place, first.value.escape_debug());
        (!primary.iter().any(|of| self.is_ours(of))).then(|| {
            warn(
                format!("{place}: {} = {value} of {realm} is not loopkdc: MIT krb5 asks it again about each wrong password", first.name),
                format!("name the same server as kdc does: {INSTALL}"),
            )
        })
    }

    fn passwords(&self) -> Option<Line> {
        if self.kpasswd.is_empty() {
            return None;
        }
        let realm = self.realm;
        let said = self.said("kpasswd_server");
        let Some(first) = said.first() else {
            let instead = match self.said("admin_server").first() {
                Some(of) => format!("{}, which is its admin_server", of.value.escape_debug()),
                None => "what DNS names".to_owned(),
            };
            return Some(warn(
                format!("{realm} has no kpasswd_server: password changes go to {instead}"),
                format!("have the stanza name it: {INSTALL}"),
            ));
        };
        let is_ours = |of: &&Relation| Server::read(&of.value, KPASSWD).is_one_of(self.kpasswd);
        if said.iter().any(is_ours) {
            return None;
        }
        let (place, value) = (&first.place, first.value.escape_debug());
        Some(warn(
            format!(
                "{place}: kpasswd_server = {value} of {realm} is not loopkdc, which listens at {}",
                shown(self.kpasswd)
            ),
            format!("have the stanza name it: {INSTALL}"),
        ))
    }
}

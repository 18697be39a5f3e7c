//! Realms on the way to others: a ticket of theirs is asked of their own KDCs.

use std::collections::BTreeSet;

use super::files::warn;
use super::scene::Scene;
use crate::operate::doctor::line::Line;
use crate::operate::krb5_conf::INSTALL;
use crate::relay::text::{line, toml};
use crate::wire::Realm;

/// What `[capaths]` says of ways from and to `realms`: who is named there is asked.
pub(super) fn examine(scene: &Scene, realms: &[Realm]) -> Vec<Line> {
    let is_ours = |name: &str| realms.iter().any(|realm| realm.as_str() == name);
    let mut told = BTreeSet::new();
    let mut lines = Vec::new();
    for of in &scene.profile.relations {
        let [section, client] = of.sections.as_slice() else {
            continue;
        };
        if section != "capaths" || of.is_ignored || !(is_ours(client) || is_ours(&of.name)) {
            continue;
        }
        // Heimdal writes several into one value; a dot says that there is none.
        let between = of
            .value
            .split([' ', '\t', ','])
            .filter(|name| !matches!(*name, "" | "."));
        for name in [client.as_str(), of.name.as_str()]
            .into_iter()
            .chain(between)
        {
            let has_kdc = !scene.said(&["realms", name], "kdc").is_empty();
            if has_kdc || is_ours(name) || !told.insert(name.to_owned()) {
                continue;
            }
            let (shown, place) = (name.escape_debug(), &of.place);
            lines.push(warn(
                format!("{shown} is on the way from {client} to {} ({place}), and krb5.conf names no kdc of it", of.name),
                format!("add [realms.{}] to the configuration, then: {INSTALL}", toml::string(&line(name))),
            ));
        }
    }
    lines
}

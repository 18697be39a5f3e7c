//! What krb5.conf says of our realms besides what we write into it.

use super::drop_in::DropIn;
use super::profile::{Profile, Relation};

/// What is to be known of a krb5.conf in which the stanzas are, or will be.
pub(super) fn notes(profile: &Profile, made: &DropIn) -> Vec<String> {
    let mut notes = Vec::new();
    for realm in &made.realms {
        servers(profile, realm, made, &mut notes);
    }
    for (domain, realm) in made.domains() {
        for name in [format!(".{domain}"), domain.clone()] {
            hosts(profile, &name, realm, &mut notes);
        }
    }
    notes
}

/// Other servers of a realm that has a stanza.
fn servers(profile: &Profile, realm: &str, made: &DropIn, notes: &mut Vec<String>) {
    let ours = &made.servers.kdc;
    let kdcs = profile.relations(&["realms", realm], "kdc");
    let is_first = |relation: &&&Relation| !relation.is_ignored;
    let first = kdcs.iter().find(is_first).map(|relation| &relation.value);
    let own = kdcs.iter().position(|relation| relation.value == *ours);
    for (index, relation) in kdcs.iter().enumerate() {
        let Relation { value, place, .. } = relation;
        let shown = format!("{place}: kdc = {} of {realm}", value.escape_debug());
        let is_before_ours = own.is_some_and(|own| index < own);
        if value == ours && relation.is_ignored {
            notes.push(format!(
                "{shown} is ignored by MIT krb5 1.22 and later, as an earlier part is marked as final by a *"
            ));
        } else if value == ours || relation.is_ignored {
            // As it should be, or of no effect.
        } else if is_before_ours && first != Some(ours) {
            notes.push(format!("{shown} comes before loopkdc's and is asked first: put the includedir line at the top of the file, or take this one out"));
        } else {
            notes.push(format!("{shown} is tried too, when loopkdc has no answer: take it out if it can't be reached from where the tunnel is needed"));
        }
    }
}

/// Another realm for the same hosts.
fn hosts(profile: &Profile, name: &str, realm: &str, notes: &mut Vec<String>) {
    let said = profile.relations(&["domain_realm"], name);
    let Some(other) = said.iter().find(|relation| relation.value != realm) else {
        return;
    };
    let (place, value) = (&other.place, other.value.escape_debug());
    notes.push(format!(
        "{place}: {name} = {value} differs from loopkdc's {name} = {realm}: what comes first counts"
    ));
}

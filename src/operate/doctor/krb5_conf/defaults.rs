//! What `[libdefaults]` says to all realms.

use std::time::Duration;

use super::files::warn;
use super::scene::{Scene, is_off};
use crate::config::{Config, RealmPattern};
use crate::operate::doctor::line::Line;
use crate::operate::krb5_conf::host::FILE;
use crate::wire::Realm;

pub(super) fn examine(scene: &Scene, config: &Config) -> Vec<Line> {
    let lines = [
        default_realm(scene, config),
        canonicalization(scene),
        lookup_of_realms(scene),
        addresses(scene),
        timeout(scene, config),
    ];
    lines.into_iter().flatten().collect()
}

fn default_realm(scene: &Scene, config: &Config) -> Option<Line> {
    let first = config.realms.iter().find_map(|entry| entry.realm());
    let write =
        |realm: &str| format!("write under [libdefaults] of {FILE}\n    default_realm = {realm}");
    let Some(said) = scene.default("default_realm") else {
        return Some(warn(
            "krb5.conf has no default_realm: names without @REALM belong to no realm",
            write(first?.as_str()),
        ));
    };
    let (place, value) = (&said.place, &said.value);
    let is_ours = Realm::parse(value.as_bytes()).is_ok_and(|realm| is_served(config, &realm));
    let first = first.filter(|_| !is_ours)?;
    Some(warn(
        format!(
            "{place}: default_realm = {} is none of loopkdc's realms: names without @REALM belong to it",
            value.escape_debug()
        ),
        write(first.as_str()),
    ))
}

fn is_served(config: &Config, realm: &Realm) -> bool {
    let key = realm.key();
    config.realms.iter().any(|entry| {
        entry.aliases.iter().any(|alias| alias.key() == key)
            || match &entry.pattern {
                RealmPattern::Exact(own) => own.key() == key,
                RealmPattern::Suffix(suffix) => key.as_str().ends_with(suffix.key().as_str()),
                RealmPattern::Any => true,
            }
    })
}

/// `fallback` (MIT 1.18) asks DNS only about names that the KDC does not know.
fn canonicalization(scene: &Scene) -> Option<Line> {
    let said = scene.default("dns_canonicalize_hostname");
    if said.is_some_and(|of| is_off(&of.value) || of.value.eq_ignore_ascii_case("fallback")) {
        return None;
    }
    Some(warn(
        "dns_canonicalize_hostname is on: ssh, browsers and kvno -S ask DNS for a host before they ask for its ticket, and wait 10 s where no name server answers",
        format!("write under [libdefaults] of {FILE}\n    dns_canonicalize_hostname = false"),
    ))
}

fn lookup_of_realms(scene: &Scene) -> Option<Line> {
    let said = scene.default("dns_lookup_realm")?;
    if is_off(&said.value) {
        return None;
    }
    Some(warn(
        format!(
            "{}: dns_lookup_realm is on: hosts' realms are asked of DNS, which takes seconds where no name server answers",
            said.place
        ),
        format!(
            "name the hosts of each realm under [domain_realm], and write under [libdefaults] of {FILE}\n    dns_lookup_realm = false"
        ),
    ))
}

/// A KDC compares the addresses in a ticket with where a request comes from, which is the gateway.
fn addresses(scene: &Scene) -> Option<Line> {
    let said = ["noaddresses", "no_addresses"].map(|name| scene.default(name));
    let said = said.into_iter().flatten().find(|of| is_off(&of.value))?;
    Some(warn(
        format!(
            "{}: {} = {} ties tickets to the addresses of this machine, and KDCs see the gateway's",
            said.place,
            said.name,
            said.value.escape_debug()
        ),
        "take that line out, then: kdestroy",
    ))
}

/// MIT 1.22.
fn timeout(scene: &Scene, config: &Config) -> Option<Line> {
    let said = scene.default("request_timeout")?;
    let timeout = seconds(&said.value).filter(|timeout| !timeout.is_zero())?;
    let longest = config.realms.iter().max_by_key(|entry| entry.deadline)?;
    if timeout > longest.deadline {
        return None;
    }
    let (place, value, deadline) = (
        &said.place,
        said.value.escape_debug(),
        longest.deadline.as_secs(),
    );
    Some(warn(
        format!(
            "{place}: request_timeout = {value} has libkrb5 give up while loopkdc, with {deadline} s, still waits for {}",
            longest.pattern
        ),
        format!(
            "write a longer one there\n    request_timeout = {}s",
            deadline + 2
        ),
    ))
}

/// A duration of one part: `5`, `5s`, `5m`.
fn seconds(value: &str) -> Option<Duration> {
    let (number, unit) = match value.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (value.strip_suffix('s').unwrap_or(value), 1),
    };
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(unit).map(Duration::from_secs)
}

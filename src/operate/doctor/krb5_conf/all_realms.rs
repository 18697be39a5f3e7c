//! What is true of all realms: which files are read and by which library, `[libdefaults]`, and realms on the way to others.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Scene, fault, is_off, warning, words};
use crate::config::Config;
use crate::operate::doctor::configuration::find;
use crate::operate::krb5_conf::host::FILE;
use crate::operate::krb5_conf::profile::{Include, ProfileError, ProfileErrorKind};
use crate::operate::krb5_conf::{INSTALL, INSTALL_INLINE};
use crate::relay::finding::Finding;
use crate::relay::text::{line, toml};
use crate::wire::Realm;

/// Which files are read, and which library gives one of them up.
pub(super) fn files(scene: &Scene) -> Vec<Finding> {
    let mut findings: Vec<_> = scene.profile.errors.iter().map(mistake).collect();
    findings.extend(missing(scene));
    findings.extend(scene.named.as_deref().map(named));
    if let Some(other) = &scene.java {
        let java = warning(format!("Java does not read {FILE}: {other}")).hint(format!(
            "have that file include {FILE}: write into its first line\n    include {FILE}"
        ));
        findings.push(java);
    }
    findings.extend(scene.profile.includes.iter().flat_map(include_to_java));
    findings.extend(heimdal(scene));
    findings
}

/// MIT's library begins no work with a configuration that has a mistake in it.
fn mistake(error: &ProfileError) -> Finding {
    let given_up = format!("{error}, and libkrb5 gives the whole configuration up for that");
    match error.kind {
        ProfileErrorKind::Mistake => {
            fault(given_up).hint("mend that line: krb5.conf(5) says how it is written")
        }
        ProfileErrorKind::Include => fault(given_up)
            .hint("make what is to be included, or take the line out")
            .command("/etc/krb5.conf.d is made by", words(INSTALL)),
        ProfileErrorKind::Unclosed => warning(format!(
            "{error}, and Java and Heimdal give the file up for that"
        ))
        .hint("write the missing }"),
        ProfileErrorKind::Limit => warning(format!(
            "{error}, and what libkrb5 finds there is not looked at here"
        ))
        .hint("take out of krb5.conf what nobody needs, or see for yourself what it says there"),
    }
}

fn missing(scene: &Scene) -> Option<Finding> {
    if scene.missing.len() < scene.files.len() {
        return None;
    }
    let files: Vec<_> = scene.missing.iter().map(|(_, why)| why.as_str()).collect();
    let purpose = match scene.named {
        Some(_) => "unset KRB5_CONFIG, and make one",
        None => "make one",
    };
    let what = format!("libkrb5 has no configuration: {}", files.join("; "));
    Some(fault(what).command(purpose, words(INSTALL)))
}

fn named(list: &str) -> Finding {
    let list = list.escape_debug();
    warning(format!(
        "KRB5_CONFIG is {list} here: what runs with it reads that and not {FILE}, other programs and Java do not"
    ))
    .command(
        format!("unless it is wanted, unset KRB5_CONFIG, and have {FILE} say it"),
        words(INSTALL),
    )
}

/// JDK 9 and later.
fn include_to_java(include: &Include) -> impl Iterator<Item = Finding> {
    let (place, path) = (&include.place, include.path.escape_debug());
    let word = if include.is_directory {
        "includedir"
    } else {
        "include"
    };
    let is_late = include.is_late.then(|| {
        warning(format!("{place}: {word} stands behind the first section, and Java gives the whole file up for that"))
            .hint(format!("move the line to the top of the file: {word} {path}"))
    });
    let is_relative = (!include.path.starts_with('/')).then(|| {
        warning(format!(
            "{place}: {word} {path} is no absolute path, and Java gives the whole file up for that"
        ))
        .hint(format!("write the path from the root: {word} /etc/{path}"))
    });
    is_late.into_iter().chain(is_relative)
}

fn heimdal(scene: &Scene) -> Option<Finding> {
    let include = scene.profile.includes.first()?;
    let library = scene.heimdal.as_ref()?;
    let place = &include.place;
    let what = format!(
        "{place}: Heimdal, which is installed here ({library}), takes an include for a mistake, and reads nothing from there on"
    );
    let purpose = "for Heimdal's programs, with no include in the file";
    Some(warning(what).command(purpose, words(INSTALL_INLINE)))
}

/// What `[libdefaults]` says to all realms.
pub(super) fn defaults(scene: &Scene, config: &Config) -> impl Iterator<Item = Finding> {
    let findings = [
        default_realm(scene, config),
        canonicalization(scene),
        lookup_of_realms(scene),
        addresses(scene),
        timeout(scene, config),
    ];
    findings.into_iter().flatten()
}

/// What is to be written there.
fn libdefaults(relation: &str) -> String {
    format!("write under [libdefaults] of {FILE}\n    {relation}")
}

fn default_realm(scene: &Scene, config: &Config) -> Option<Finding> {
    let first = config.realms.iter().find_map(|entry| entry.realm())?;
    let hint = libdefaults(&format!("default_realm = {first}"));
    let Some(said) = scene.default("default_realm") else {
        let what = "krb5.conf has no default_realm: names without @REALM belong to no realm";
        return Some(warning(what).hint(hint));
    };
    if Realm::parse(said.value.as_bytes()).is_ok_and(|realm| find(config, &realm).is_some()) {
        return None;
    }
    let what = format!(
        "{}: default_realm = {} is none of loopkdc's realms: names without @REALM belong to it",
        said.place,
        said.value.escape_debug()
    );
    Some(warning(what).hint(hint))
}

/// `fallback` (MIT 1.18) asks DNS only about names that the KDC does not know.
fn canonicalization(scene: &Scene) -> Option<Finding> {
    let said = scene.default("dns_canonicalize_hostname");
    if said.is_some_and(|of| is_off(&of.value) || of.value.eq_ignore_ascii_case("fallback")) {
        return None;
    }
    let what = "dns_canonicalize_hostname is on: ssh, browsers and kvno -S ask DNS for a host before they ask for its ticket, and wait 10 s where no name server answers";
    Some(warning(what).hint(libdefaults("dns_canonicalize_hostname = false")))
}

fn lookup_of_realms(scene: &Scene) -> Option<Finding> {
    let said = scene.default("dns_lookup_realm")?;
    if is_off(&said.value) {
        return None;
    }
    let what = format!(
        "{}: dns_lookup_realm is on: hosts' realms are asked of DNS, which takes seconds where no name server answers",
        said.place
    );
    let hint = libdefaults("dns_lookup_realm = false");
    Some(warning(what).hint(format!(
        "name the hosts of each realm under [domain_realm], and {hint}"
    )))
}

/// A KDC compares the addresses in a ticket with where a request comes from, which is the gateway.
fn addresses(scene: &Scene) -> Option<Finding> {
    let said = ["noaddresses", "no_addresses"].map(|name| scene.default(name));
    let said = said.into_iter().flatten().find(|of| is_off(&of.value))?;
    let what = format!(
        "{}: {} = {} ties tickets to the addresses of this machine, and KDCs see the gateway's",
        said.place,
        said.name,
        said.value.escape_debug()
    );
    Some(warning(what).command("take that line out, then", ["kdestroy"]))
}

/// MIT 1.22.
fn timeout(scene: &Scene, config: &Config) -> Option<Finding> {
    let said = scene.default("request_timeout")?;
    let timeout = seconds(&said.value).filter(|timeout| !timeout.is_zero())?;
    let longest = config.realms.iter().max_by_key(|entry| entry.deadline)?;
    if timeout > longest.deadline {
        return None;
    }
    let deadline = longest.deadline.as_secs();
    let what = format!(
        "{}: request_timeout = {} has libkrb5 give up while loopkdc, with {deadline} s, still waits for {}",
        said.place,
        said.value.escape_debug(),
        longest.pattern
    );
    Some(warning(what).hint(format!(
        "write a longer one there\n    request_timeout = {}s",
        deadline + 2
    )))
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

/// What `[capaths]` says of ways from and to `realms`: a ticket of a realm on the way is asked of its own KDCs.
pub(super) fn paths(scene: &Scene, realms: &[Realm]) -> Vec<Finding> {
    let is_ours = |name: &str| realms.iter().any(|realm| realm.as_str() == name);
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for of in &scene.profile.relations {
        let [section, client] = of.sections.as_slice() else {
            continue;
        };
        if section != "capaths" || of.is_ignored || !(is_ours(client) || is_ours(&of.name)) {
            continue;
        }
        // Heimdal writes several into one value; a dot says that there is none.
        let between = of.value.split([' ', '\t', ',']);
        let between = between.filter(|name| !matches!(*name, "" | "."));
        for name in [client.as_str(), &of.name].into_iter().chain(between) {
            let has_kdc = !scene.said(&["realms", name], "kdc").is_empty();
            if has_kdc || is_ours(name) || !told.insert(name.to_owned()) {
                continue;
            }
            let what = format!(
                "{} is on the way from {client} to {} ({}), and krb5.conf names no kdc of it",
                name.escape_debug(),
                of.name,
                of.place
            );
            let table = format!("[realms.{}]", toml::string(&line(name)));
            let purpose = format!("add {table} to the configuration, then");
            findings.push(warning(what).command(purpose, words(INSTALL)));
        }
    }
    findings
}

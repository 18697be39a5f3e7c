//! What is true of all realms: which files are read and by which library, `[libdefaults]`, and realms on the way to others.

use std::collections::BTreeSet;

use super::{ClientConfig, fault, is_true, warning};
use crate::config::Config;
use crate::operate::doctor::configuration::{example, find, similar};
use crate::operate::krb5_conf::host::FILE;
use crate::operate::krb5_conf::profile::{ProfileError, ProfileErrorKind, Relation};
use crate::operate::krb5_conf::{INSTALL, INSTALL_INLINE};
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::text::{line, toml};
use crate::wire::Realm;

/// Which files are read, and which library gives one of them up.
pub(super) fn files(client: &ClientConfig) -> Vec<Finding> {
    let mut findings: Vec<_> = client.profile.errors.iter().map(mistake).collect();
    if let Some(why) = &client.unreadable {
        let what = format!("libkrb5 has no configuration: {why}");
        findings.push(fault(what).typed("make one", INSTALL));
    }
    if let Some(list) = &client.named {
        let what = format!(
            "KRB5_CONFIG is {} here: what runs with it reads that and not {FILE}, other programs and Java do not",
            list.escape_debug()
        );
        let purpose = format!("unless it is wanted, unset KRB5_CONFIG, and have {FILE} say it");
        findings.push(warning(what).typed(purpose, INSTALL));
    }
    if let Some(file) = &client.java {
        let what = format!("Java reads {file}, and not {FILE}");
        findings.push(warning(what).hint(format!(
            "have that file include {FILE}: write into its first line\n    include {FILE}"
        )));
    }
    let includes = &client.profile.includes;
    // JDK 9 and later.
    for include in includes.iter().filter(|include| include.is_late) {
        let what = "the include stands behind the first section, and Java gives the whole file up for that";
        let late = warning(what).in_file(include.place.position());
        findings.push(late.hint("move the line to the top of the file"));
    }
    if let (Some(include), Some(library)) = (includes.first(), &client.heimdal) {
        let what = format!(
            "Heimdal, which is installed here ({library}), takes an include for a mistake, and reads nothing from there on"
        );
        let purpose = "for its programs, with no include in the file";
        let unread = warning(what).in_file(include.place.position());
        findings.push(unread.typed(purpose, INSTALL_INLINE));
    }
    findings
}

/// What is wrong with a line, what follows of it, and how it is mended.
pub(super) fn mistake(error: &ProfileError) -> Finding {
    let is_fatal = matches!(
        error.kind,
        ProfileErrorKind::Mistake | ProfileErrorKind::Include
    );
    let finding = if is_fatal { fault } else { warning };
    let (consequence, hint) = match error.kind {
        ProfileErrorKind::Mistake | ProfileErrorKind::Include => (
            "libkrb5 gives the whole configuration up for that",
            "mend that line, or make what it is to include: krb5.conf(5) says how it is written",
        ),
        ProfileErrorKind::Unclosed => (
            "Java and Heimdal give the file up for that",
            "write the missing }",
        ),
        ProfileErrorKind::Final => (
            "MIT krb5 1.22 and later ignore what other parts say of it",
            "take the * away",
        ),
        ProfileErrorKind::Limit => (
            "what libkrb5 finds there is not looked at here",
            "take out of krb5.conf what nobody needs, or see for yourself what it says there",
        ),
        ProfileErrorKind::ByteOrderMark | ProfileErrorKind::Indented => (
            "libkrb5 passes by all up to a line that begins with a [",
            "take out what stands before it",
        ),
        ProfileErrorKind::OneLine => (
            "to libkrb5 it is no stanza",
            "write what stands between { and } in krb5.conf into lines of its own",
        ),
        ProfileErrorKind::Module => (
            "libkrb5 takes nothing else from the file",
            "take that line out, or have what it names say whom to ask",
        ),
    };
    let what = format!("{}, and {consequence}", error.why);
    let finding = finding(what).in_file(error.place.position()).hint(hint);
    let script = match error.kind {
        ProfileErrorKind::ByteOrderMark => r"s/^\xEF\xBB\xBF//",
        ProfileErrorKind::Indented => r"s/^[[:space:]]*\[/[/",
        _ => return finding,
    };
    let sed = ["sed", "-i", "--follow-symlinks", script, &error.place.file];
    finding.hint(Hint::command(sed))
}

/// What `[libdefaults]` says to all realms.
pub(super) fn defaults(client: &ClientConfig, config: &Config) -> impl Iterator<Item = Finding> {
    let of_hosts = "ssh, browsers and kvno -S ask DNS for a host before they ask for its ticket, and wait 10 s where no name server answers";
    let of_realms =
        "hosts' realms are asked of DNS, which takes seconds where no name server answers";
    let findings = [
        default_realm(client, config),
        is_on(client, "dns_canonicalize_hostname", true, of_hosts),
        is_on(client, "dns_lookup_realm", false, of_realms),
        addresses(client),
        timeout(client, config),
    ];
    findings.into_iter().flatten()
}

/// A finding about one of its relations, or that there is none, and what is to be written instead.
fn default(said: Option<&Relation>, what: &str, instead: &str) -> Finding {
    let finding = warning(what);
    // The first one counts, so that another line might as well not be there.
    match said {
        Some(relation) => finding
            .in_file(relation.place.position())
            .hint(format!("in the place of that line, write\n    {instead}")),
        None => finding.hint(format!(
            "write under [libdefaults] of {FILE}\n    {instead}"
        )),
    }
}

/// Names without @REALM belong to a realm of which the configuration has one that is called nearly so.
pub(super) fn misspelt_default(client: &ClientConfig, config: &Config) -> Option<Finding> {
    let said = client.default("default_realm")?;
    let realm = Realm::parse(said.value.as_bytes()).ok()?;
    let other = similar(config, realm.as_str()).filter(|_| find(config, &realm).is_none())?;
    let file = config.source.as_ref()?.display().to_string();
    let what = format!(
        "{} is none of the realms in {file}, which has {other}",
        said.shown()
    );
    let fault = Finding::fault(what).on(Layer::Configuration);
    let instead =
        format!("if that is meant, write in the place of that line\n    default_realm = {other}");
    let otherwise = format!("else {}", example(realm.as_str(), &file));
    Some(
        fault
            .in_file(said.place.position())
            .hint(instead)
            .hint(otherwise),
    )
}

fn default_realm(client: &ClientConfig, config: &Config) -> Option<Finding> {
    let first = config.realms.iter().find_map(|entry| entry.realm())?;
    let said = client.default("default_realm");
    let realm = said.and_then(|of| Realm::parse(of.value.as_bytes()).ok());
    let is_one = realm.is_some_and(|realm| find(config, &realm).is_some());
    if is_one || misspelt_default(client, config).is_some() {
        return None;
    }
    let what = match said {
        Some(of) => {
            let belong = "names without @REALM belong to it";
            format!("{} is none of loopkdc's realms: {belong}", of.shown())
        }
        None => "krb5.conf has no default_realm: names without @REALM belong to none".to_owned(),
    };
    Some(default(said, &what, &format!("default_realm = {first}")))
}

/// A switch of look-ups in DNS is on, and what that costs. `usual`: what it is if nothing is said.
fn is_on(client: &ClientConfig, name: &str, usual: bool, cost: &str) -> Option<Finding> {
    let said = client.default(name);
    let is_on = said.map_or(usual, |of| is_true(&of.value));
    is_on.then(|| {
        let what = format!("{name} is on: {cost}");
        default(said, &what, &format!("{name} = false"))
    })
}

/// A KDC compares the addresses in a ticket with where a request comes from, which is the gateway.
fn addresses(client: &ClientConfig) -> Option<Finding> {
    let said = ["noaddresses", "no_addresses"].map(|name| client.default(name));
    let said = said.into_iter().flatten().find(|of| !is_true(&of.value))?;
    let ties = "ties tickets to the addresses of this machine, and KDCs see the gateway's";
    let finding = warning(format!("{} {ties}", said.shown())).in_file(said.place.position());
    Some(finding.typed("take that line out, then", "kdestroy"))
}

/// MIT 1.22 and later give up by a time of their own.
fn timeout(client: &ClientConfig, config: &Config) -> Option<Finding> {
    let said = client.default("request_timeout")?;
    // Written as `5`, `5s` or `5m`; any other form is none that is too short.
    let (number, unit) = match said.value.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (said.value.strip_suffix('s').unwrap_or(&said.value), 1),
    };
    let timeout = number.trim().parse::<u64>().ok()?.checked_mul(unit)?;
    let longest = config.realms.iter().max_by_key(|entry| entry.deadline)?;
    let deadline = longest.deadline.as_secs();
    let is_shorter = (1..=deadline).contains(&timeout);
    is_shorter.then(|| {
        let what = format!(
            "{} has libkrb5 give up while loopkdc, with {deadline} s, still waits for {}",
            said.shown(),
            longest.pattern
        );
        let instead = format!("request_timeout = {}s", deadline + 2);
        default(Some(said), &what, &instead)
    })
}

/// What `[capaths]` says of ways from and to `realms`: a ticket of a realm on the way is asked of its own KDCs.
pub(super) fn paths(client: &ClientConfig, realms: &[Realm]) -> Vec<Finding> {
    let is_ours = |name: &str| realms.iter().any(|realm| realm.as_str() == name);
    let has_kdc = |name: &str| !client.relations(&["realms", name], "kdc").is_empty();
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for relation in &client.profile.relations {
        let [section, from] = relation.sections.as_slice() else {
            continue;
        };
        let to = &relation.name;
        if section != "capaths" || !(is_ours(from) || is_ours(to)) {
            continue;
        }
        // Heimdal writes several into one value; a dot says that there is none.
        let between = relation.value.split([' ', '\t', ',']);
        let between = between.filter(|name| !matches!(*name, "" | "."));
        for name in between.filter(|name| !is_ours(name) && !has_kdc(name)) {
            if told.insert(name) {
                let what = format!(
                    "{} is on the way from {from} to {to}, and krb5.conf names no kdc of it",
                    name.escape_debug()
                );
                let table = format!("[realms.{}]", toml::string(&line(name)));
                let purpose = format!("add {table} to the configuration, then");
                let finding = warning(what).in_file(relation.place.position());
                findings.push(finding.typed(purpose, INSTALL));
            }
        }
    }
    findings
}

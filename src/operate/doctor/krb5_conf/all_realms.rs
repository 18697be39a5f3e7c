//! What is true of all realms: which files are read and by which library, and `[libdefaults]`.

use super::{ClientConfig, fault, install, is_true, shown, warning};
use crate::config::Config;
use crate::operate::doctor::configuration::find;
use crate::operate::krb5_conf::INSTALL_INLINE;
use crate::operate::krb5_conf::host::FILE;
use crate::operate::krb5_conf::profile::{ProfileError, ProfileErrorKind, Relation};
use crate::relay::finding::Finding;
use crate::wire::Realm;

/// Which files are read, and which library gives one of them up.
pub(super) fn files(client: &ClientConfig) -> Vec<Finding> {
    let mut findings: Vec<_> = client.profile.errors.iter().map(mistake).collect();
    if let Some(why) = &client.unreadable {
        let what = format!("libkrb5 has no configuration: {why}");
        findings.push(fault(what).hint("make one").hint(install()));
    }
    if let Some(list) = &client.named {
        let what = format!(
            "KRB5_CONFIG is {} here: what runs with it reads that and not {FILE}, other programs and Java do not",
            list.escape_debug()
        );
        let purpose = format!("unless it is wanted, unset KRB5_CONFIG, and have {FILE} say it");
        findings.push(warning(what).hint(purpose).hint(install()));
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
        let inline = INSTALL_INLINE.split(' ');
        let unread = warning(what).in_file(include.place.position());
        findings.push(unread.command("for its programs, with no include in the file", inline));
    }
    findings
}

fn mistake(error: &ProfileError) -> Finding {
    let (finding, consequence, hint): (fn(String) -> Finding, _, _) = match error.kind {
        ProfileErrorKind::Mistake | ProfileErrorKind::Include => (
            fault,
            "libkrb5 gives the whole configuration up for that",
            "mend that line, or make what it is to include: krb5.conf(5) says how it is written",
        ),
        ProfileErrorKind::Unclosed => (
            warning,
            "Java and Heimdal give the file up for that",
            "write the missing }",
        ),
        ProfileErrorKind::Limit => (
            warning,
            "what libkrb5 finds there is not looked at here",
            "take out of krb5.conf what nobody needs, or see for yourself what it says there",
        ),
    };
    let what = format!("{}, and {consequence}", error.why);
    finding(what).in_file(error.place.position()).hint(hint)
}

/// What `[libdefaults]` says to all realms.
pub(super) fn defaults(client: &ClientConfig, config: &Config) -> impl Iterator<Item = Finding> {
    let findings = [
        default_realm(client, config),
        is_on(
            client,
            "dns_canonicalize_hostname",
            true,
            "ssh, browsers and kvno -S ask DNS for a host before they ask for its ticket, and wait 10 s where no name server answers",
        ),
        is_on(
            client,
            "dns_lookup_realm",
            false,
            "hosts' realms are asked of DNS, which takes seconds where no name server answers",
        ),
    ];
    findings.into_iter().flatten()
}

/// A finding about one of its relations, or that there is none, and what is to be written instead.
fn default(said: Option<&Relation>, what: &str, instead: &str) -> Finding {
    let finding = warning(what);
    let finding = match said {
        Some(relation) => finding.in_file(relation.place.position()),
        None => finding,
    };
    finding.hint(format!(
        "write under [libdefaults] of {FILE}\n    {instead}"
    ))
}

fn default_realm(client: &ClientConfig, config: &Config) -> Option<Finding> {
    let first = config.realms.iter().find_map(|entry| entry.realm())?;
    let said = client.default("default_realm");
    let realm = said.and_then(|of| Realm::parse(of.value.as_bytes()).ok());
    if realm.is_some_and(|realm| find(config, &realm).is_some()) {
        return None;
    }
    let what = match said {
        Some(of) => format!(
            "{} is none of loopkdc's realms: names without @REALM belong to it",
            shown(of)
        ),
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

//! The configuration, and which of its realms are looked at.

use std::time::Duration;

use crate::config::{Config, RealmEntry};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::status::DaemonKind;
use crate::relay::text::{closest, toml};
use crate::wire::Realm;

/// How long it may take to read it, and to decrypt a key.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// What is to be said of a configuration that can be used.
pub(super) fn valid(
    daemon: DaemonKind,
    file: &str,
    realms: usize,
    warnings: Vec<Finding>,
) -> Vec<Finding> {
    let realms = match realms {
        1 => "1 realm".to_owned(),
        many => format!("{many} realms"),
    };
    let valid = Finding::ok(Layer::Configuration, format!("{file}: valid, {realms}"));
    let warnings = warnings.into_iter().map(|warning| {
        let warning = warning.on(Layer::Configuration);
        if warning.hints.is_empty() {
            warning.command("see what the configuration means", daemon.command("check"))
        } else {
            warning
        }
    });
    std::iter::once(valid).chain(warnings).collect()
}

fn fault(what: impl Into<String>) -> Finding {
    Finding::fault(what).on(Layer::Configuration)
}

/// Why a configuration can't be used.
pub(super) fn unusable(daemon: DaemonKind, failure: &Failure) -> Finding {
    let mut finding = failure.finding().clone().on(Layer::Configuration);
    // Its keys may be root's alone.
    if failure.exit() == Exit::Permission {
        finding = finding.command("as root", daemon.as_root("doctor"));
    } else if finding.hints.is_empty() {
        finding = finding.command("see what is wrong with it", daemon.command("check"));
    }
    finding
}

/// The realms to look at: the one that is `wanted`, the default realm, or all; and what is to be said of that. No realm: there
/// is a fault.
pub(super) fn chosen<'a>(
    config: &'a Config,
    file: &str,
    wanted: Option<&str>,
    default_realm: Option<&str>,
) -> (Vec<(Realm, &'a RealmEntry)>, Option<Finding>) {
    if let Some(text) = wanted {
        let realm = Realm::parse(text.as_bytes());
        let found = realm.as_ref().ok().and_then(|realm| find(config, realm));
        let fault = match realm {
            _ if found.is_some() => None,
            Ok(realm) => {
                let write = example(realm.as_str(), file);
                let other = similar(config, realm.as_str());
                Some(unknown(DaemonKind::Run, &realm, file, other, &write))
            }
            Err(error) => {
                let purpose = "name a realm as klist shows it, behind the @";
                Some(fault(error.to_string()).typed(purpose, "loopkdc doctor EXAMPLE.COM"))
            }
        };
        return (found.into_iter().collect(), fault);
    }
    let default = default_realm.and_then(|text| Realm::parse(text.as_bytes()).ok());
    if let Some(default) = default.as_ref().and_then(|realm| find(config, realm)) {
        let left_out = left_out(config, &default.0);
        return (vec![default], left_out);
    }
    let entries = config.realms.iter();
    let exact = entries.filter_map(|entry| Some((entry.realm()?.clone(), entry)));
    let exact: Vec<_> = exact.collect();
    if exact.is_empty() {
        let purpose = "or name one that a wildcard stands for";
        let fault = fault(format!("no realm is named in {file}"))
            .hint(example("EXAMPLE.COM", file))
            .typed(purpose, "loopkdc doctor REALM");
        return (exact, Some(fault));
    }
    (exact, None)
}

/// The configuration has no such realm, and perhaps an `other` that is meant; else one is to be written.
pub(super) fn unknown(
    daemon: DaemonKind,
    realm: &Realm,
    file: &str,
    other: Option<&str>,
    write: &str,
) -> Finding {
    let what = format!("realm {realm} is not in {file}");
    let Some(other) = other else {
        return fault(what).hint(write);
    };
    fault(format!("{what}, which has {other}"))
        .command("if that is meant", daemon.command("doctor").chain([other]))
        .hint(format!("else {write}"))
}

/// The name of a realm, or another name of one, that is meant by what is none.
pub(super) fn similar<'a>(config: &'a Config, realm: &str) -> Option<&'a str> {
    let entries = config.realms.iter();
    let names = entries.flat_map(|entry| entry.realm().into_iter().chain(&entry.aliases));
    closest(realm, names.map(Realm::as_str))
}

/// That realms of the configuration beside `chosen` are not looked at, though nobody has asked for that one alone.
fn left_out(config: &Config, chosen: &Realm) -> Option<Finding> {
    let realms = config.realms.iter().filter_map(RealmEntry::realm);
    let others = realms.filter(|realm| realm.key() != chosen.key());
    let others: Vec<_> = others.map(Realm::as_str).collect();
    let (first, all) = (others.first()?, others.join(", "));
    let what = format!("{all}: not looked at, as default_realm is another");
    let skipped = Finding::skipped(Layer::Configuration, what);
    Some(skipped.hint(Hint::command(["loopkdc", "doctor", first])))
}

/// What a configuration says of a realm.
pub(super) fn example(realm: &str, file: &str) -> String {
    let realm = toml::string(realm);
    format!(
        "write into {file}:\n    [realms.{realm}]\n    proxies = [\"https://kdcproxy.example.com/KdcProxy\"]"
    )
}

/// The entry that serves `realm`, the longest match first, and the realm as that spells it.
pub(super) fn find<'a>(config: &'a Config, realm: &Realm) -> Option<(Realm, &'a RealmEntry)> {
    let key = realm.key();
    let is_its = |entry: &&RealmEntry| {
        let mut aliases = entry.aliases.iter();
        entry.pattern.matches(&key) || aliases.any(|alias| alias.key() == key)
    };
    let entries = config.realms.iter().filter(is_its);
    let entry = entries.min_by_key(|entry| entry.pattern.rank())?;
    Some((entry.realm().unwrap_or(realm).clone(), entry))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Sources;
    use crate::relay::finding::Severity;

    const CONFIG: &str = r#"
        [realms."EXAMPLE.COM"]
        proxies = ["https://a.example.com"]
        aliases = ["EXAMPLE"]
        [realms."EXAMPLE.ORG"]
        proxies = ["https://b.example.com"]
        [realms."*.EXAMPLE.COM"]
        proxies = ["https://c.example.com"]
        [realms."*.CORP.EXAMPLE.COM"]
        proxies = ["https://d.example.com"]
    "#;

    /// The realms with their entries, and what is said beside.
    fn names(text: &str, wanted: Option<&str>, default: Option<&str>) -> (String, Option<Finding>) {
        let config = Config::parse(Path::new("config.toml"), text, &Sources::default()).unwrap();
        let (chosen, said) = chosen(&config, "config.toml", wanted, default);
        let each = |(realm, entry): &(Realm, &RealmEntry)| format!("{realm}={}", entry.pattern);
        let names: Vec<_> = chosen.iter().map(each).collect();
        (names.join(" "), said)
    }

    #[test]
    fn the_longest_match_is_the_realms_own() {
        for (wanted, expected) in [
            ("example.com", "EXAMPLE.COM=EXAMPLE.COM"),
            ("EXAMPLE", "EXAMPLE.COM=EXAMPLE.COM"),
            ("X.EXAMPLE.COM", "X.EXAMPLE.COM=*.EXAMPLE.COM"),
            (
                "X.CORP.EXAMPLE.COM",
                "X.CORP.EXAMPLE.COM=*.CORP.EXAMPLE.COM",
            ),
        ] {
            let found = names(CONFIG, Some(wanted), None);
            assert_eq!(found, (expected.to_owned(), None));
        }
    }

    #[test]
    fn without_a_realm_the_default_one_is_meant_and_else_all() {
        let both = "EXAMPLE.COM=EXAMPLE.COM EXAMPLE.ORG=EXAMPLE.ORG";
        for default in [None, Some("NOWHERE.COM")] {
            assert_eq!(names(CONFIG, None, default), (both.to_owned(), None));
        }
        let (default, said) = names(CONFIG, None, Some("EXAMPLE.ORG"));
        assert_eq!(default, "EXAMPLE.ORG=EXAMPLE.ORG");
        let said = said.unwrap();
        assert_eq!(said.severity, Severity::Skipped);
        assert!(said.what.starts_with("EXAMPLE.COM: not looked at"));
    }

    #[test]
    fn a_realm_like_one_that_is_there_is_told_with_it() {
        let (_, fault) = names(CONFIG, Some("EXAMPEL.COM"), None);
        let fault = fault.unwrap();
        let what = "realm EXAMPEL.COM is not in config.toml, which has EXAMPLE.COM";
        assert_eq!(
            (fault.severity, fault.what.as_str()),
            (Severity::Fault, what)
        );
        let advice = "if that is meant: loopkdc doctor EXAMPLE.COM; else write into config.toml:";
        assert!(fault.advice().starts_with(advice), "{fault}");
    }

    #[test]
    fn what_is_not_there_is_said_with_what_to_write() {
        for (text, wanted, what) in [
            (
                CONFIG,
                Some("NOWHERE.COM"),
                "realm NOWHERE.COM is not in config.toml",
            ),
            ("", None, "no realm is named in config.toml"),
            (CONFIG, Some(""), "the realm is empty"),
        ] {
            let (none, fault) = names(text, wanted, None);
            let fault = fault.unwrap();
            assert_eq!(
                (fault.severity, fault.what.as_str()),
                (Severity::Fault, what)
            );
            assert_eq!(none, "");
        }
        let (_, fault) = names(CONFIG, Some("NOWHERE.COM"), None);
        let hint = fault.unwrap().advice();
        assert!(
            hint.contains("\n    [realms.\"NOWHERE.COM\"]\n    proxies = ["),
            "{hint}"
        );
    }
}

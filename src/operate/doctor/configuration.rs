//! The configuration, and which of its realms are looked at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::line::{Layer, Line};
use crate::config::{Config, RealmEntry, RealmPattern, Sources};
use crate::daemon::user::is_root;
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::{shell, toml};
use crate::wire::Realm;

/// How long it may take to read it, and to decrypt a key.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) config: Config,
    /// Its name, for hints.
    pub(super) file: String,
    pub(super) lines: Vec<Line>,
}

/// Reads the file as `loopkdc run` would.
///
/// # Errors
/// It cannot be used, and a line that says why.
pub(super) fn read(file: Option<PathBuf>, realm: Option<&str>) -> Result<Read, Box<Line>> {
    let sources = Sources {
        file,
        ..Sources::default()
    };
    let config = Config::load(&sources).map_err(|failure| Box::new(broken(&failure, realm)))?;
    let file = config.source.as_ref();
    let file = file.map_or_else(String::new, |file| file.display().to_string());
    let realms = match config.realms.len() {
        1 => "1 realm".to_owned(),
        many => format!("{many} realms"),
    };
    let mut lines = vec![Line::ok(
        Layer::Configuration,
        format!("{file}: valid, {realms}"),
    )];
    let warnings = config.warnings().into_iter();
    lines.extend(warnings.map(|warning| {
        let hint = "see what the configuration means: loopkdc check";
        Line::warn(Layer::Configuration, warning, hint)
    }));
    Ok(Read {
        config,
        file,
        lines,
    })
}

/// It takes too long to read it.
pub(super) fn late(file: Option<&Path>) -> Box<Line> {
    let file = file.map_or_else(|| "the configuration".into(), Path::to_string_lossy);
    Box::new(Line::fault(
        Layer::Configuration,
        format!(
            "{file}, or a file that it names, is not read within {} s",
            LIMIT.as_secs()
        ),
        "see whether the disk that it is on answers: findmnt; if it does, a client-key may be encrypted by too many rounds: time loopkdc check",
    ))
}

/// With the realm's own name in what is to be written.
fn broken(failure: &Failure, realm: Option<&str>) -> Line {
    let hints = failure.hints().join("\n");
    // One that needs more than quotes stands for itself nowhere.
    let is_plain = |realm: &&str| {
        Realm::parse(realm.as_bytes()).is_ok() && toml::string(realm).len() == realm.len() + 2
    };
    let hint = match realm.filter(is_plain) {
        Some(realm) => hints.replace("EXAMPLE.COM", realm),
        None => hints,
    };
    let line = Line::fault(Layer::Configuration, failure.message(), hint);
    match line.hint.as_deref() {
        // Its keys may be root's alone.
        Some(hint) if failure.exit() == Exit::Permission && !is_root() => {
            let hint = format!("as root: sudo loopkdc doctor; {hint}");
            line.hint(hint)
        }
        Some("") => line.hint("see what is wrong with it: loopkdc check"),
        _ => line,
    }
}

/// The realms to look at.
///
/// # Errors
/// There is none, and a line that says why.
pub(super) fn chosen<'a>(
    read: &'a Read,
    wanted: Option<&str>,
    default_realm: Option<&str>,
) -> Result<Vec<(Realm, &'a RealmEntry)>, Box<Line>> {
    let Read { config, file, .. } = read;
    if let Some(text) = wanted {
        return one(config, file, text).map(|found| vec![found]);
    }
    let default = default_realm.and_then(|text| Realm::parse(text.as_bytes()).ok());
    let default = default.and_then(|realm| find(config, &realm));
    if let Some(default) = default {
        return Ok(vec![default]);
    }
    let exact = config.realms.iter();
    let exact = exact.filter_map(|entry| Some((entry.realm()?.clone(), entry)));
    let exact: Vec<_> = exact.collect();
    match (exact.is_empty(), config.realms.is_empty()) {
        (false, _) => Ok(exact),
        (true, true) => Err(Box::new(unknown(None, file))),
        (true, false) => Err(Box::new(Line::fault(
            Layer::Configuration,
            "all realms of the configuration are wildcards",
            "name one of the realms that they stand for: loopkdc doctor REALM",
        ))),
    }
}

/// That realms of the configuration are not looked at, though nobody has asked for one of them alone.
pub(super) fn left_out(read: &Read, chosen: &[(Realm, &RealmEntry)]) -> Option<Line> {
    let chosen: Vec<_> = chosen.iter().map(|(realm, _)| realm.key()).collect();
    let is_chosen = |realm: &Realm| chosen.contains(&realm.key());
    let exact = read.config.realms.iter().filter_map(RealmEntry::realm);
    let others: Vec<_> = exact
        .filter(|realm| !is_chosen(realm))
        .map(Realm::as_str)
        .collect();
    let first = others.first()?;
    let line = Line::skipped(
        Layer::Configuration,
        format!(
            "{}: not looked at, as default_realm is another",
            others.join(", ")
        ),
    );
    Some(line.hint(format!("loopkdc doctor {}", shell::word(first))))
}

fn one<'a>(
    config: &'a Config,
    file: &str,
    text: &str,
) -> Result<(Realm, &'a RealmEntry), Box<Line>> {
    let realm = Realm::parse(text.as_bytes()).map_err(|error| {
        let hint = "name a realm as klist shows it, behind the @: loopkdc doctor EXAMPLE.COM";
        Box::new(Line::fault(Layer::Configuration, error.to_string(), hint))
    })?;
    find(config, &realm).ok_or_else(|| Box::new(unknown(Some(&realm), file)))
}

fn unknown(realm: Option<&Realm>, file: &str) -> Line {
    let what = match realm {
        Some(realm) => format!("realm {realm} is not in {file}"),
        None => format!("no realm is in {file}"),
    };
    let name = toml::string(realm.map_or("EXAMPLE.COM", Realm::as_str));
    let hint = format!(
        "write into {file}:\n    [realms.{name}]\n    proxies = [\"https://kdcproxy.example.com/KdcProxy\"]"
    );
    Line::fault(Layer::Configuration, what, hint)
}

/// The entry that serves `realm`, the longest match first, and the realm as that spells it.
fn find<'a>(config: &'a Config, realm: &Realm) -> Option<(Realm, &'a RealmEntry)> {
    let key = realm.key();
    let exact = config.realms.iter().find_map(|entry| {
        let own = entry.realm()?;
        let is_alias = || entry.aliases.iter().any(|alias| alias.key() == key);
        (own.key() == key || is_alias()).then(|| (own.clone(), entry))
    });
    let length = |entry: &&RealmEntry| match &entry.pattern {
        RealmPattern::Exact(_) => None,
        RealmPattern::Suffix(suffix) => {
            let suffix = suffix.key();
            let below = key.as_str().ends_with(suffix.as_str());
            (below && key.as_str().len() > suffix.as_str().len()).then(|| suffix.as_str().len())
        }
        RealmPattern::Any => Some(0),
    };
    let wild = config.realms.iter().filter(|entry| length(entry).is_some());
    let wild = wild.max_by_key(length);
    exact.or_else(|| wild.map(|entry| (realm.clone(), entry)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Verdict;
    use super::*;

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

    fn read(text: &str) -> Read {
        Read {
            config: Config::parse(Path::new("config.toml"), text, &Sources::default()).unwrap(),
            file: "config.toml".to_owned(),
            lines: Vec::new(),
        }
    }

    fn names(text: &str, wanted: Option<&str>, default: Option<&str>) -> Result<String, Line> {
        let read = read(text);
        let chosen = chosen(&read, wanted, default).map_err(|line| *line)?;
        let each = |(realm, entry): &(Realm, &RealmEntry)| format!("{realm}={}", entry.pattern);
        Ok(chosen.iter().map(each).collect::<Vec<_>>().join(" "))
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
            assert_eq!(names(CONFIG, Some(wanted), None).unwrap(), expected);
        }
    }

    #[test]
    fn without_a_realm_the_default_one_is_meant_and_else_all() {
        let both = "EXAMPLE.COM=EXAMPLE.COM EXAMPLE.ORG=EXAMPLE.ORG";
        assert_eq!(names(CONFIG, None, None).unwrap(), both);
        assert_eq!(names(CONFIG, None, Some("NOWHERE.COM")).unwrap(), both);
        let default = names(CONFIG, None, Some("EXAMPLE.ORG")).unwrap();
        assert_eq!(default, "EXAMPLE.ORG=EXAMPLE.ORG");
    }

    #[test]
    fn what_is_not_there_is_said_with_what_to_write() {
        for (text, wanted, what) in [
            (
                CONFIG,
                Some("NOWHERE.COM"),
                "realm NOWHERE.COM is not in config.toml",
            ),
            ("", None, "no realm is in config.toml"),
            (CONFIG, Some(""), "the realm is empty"),
        ] {
            let line = names(text, wanted, None).unwrap_err();
            assert_eq!((line.verdict, line.what.as_str()), (Verdict::Fault, what));
        }
        let hint = names(CONFIG, Some("NOWHERE.COM"), None)
            .unwrap_err()
            .hint
            .unwrap();
        assert!(
            hint.contains("\n    [realms.\"NOWHERE.COM\"]\n    proxies = ["),
            "{hint}"
        );
    }
}

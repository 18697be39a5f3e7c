//! `loopkdc check`: whether the configuration is valid, and what it says.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use crate::config::{Config, Endpoint, RealmEntry, RealmPattern, Sources};
use crate::failure::Failure;

/// Prints the report on stdout and the warnings on stderr.
pub fn check(sources: &Sources) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    // A reader that is gone changes nothing about the configuration.
    let _ = write!(std::io::stdout().lock(), "{}", Report(&config));
    for warning in config.warnings() {
        eprintln!("loopkdc: warning: {warning}");
    }
    Ok(())
}

/// What would listen and where each realm goes.
struct Report<'a>(&'a Config);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        if let Some(path) = &config.source {
            writeln!(f, "{}: valid", path.display())?;
        }
        writeln!(f, "kdc: {}", Endpoints(&config.listen.kdc))?;
        writeln!(f, "kpasswd: {}", Endpoints(&config.listen.kpasswd))?;
        let mut realms: Vec<_> = config.realms.iter().collect();
        realms.sort_by_key(|entry| rank(&entry.pattern));
        realms.into_iter().try_for_each(|entry| realm(f, entry))?;
        let any = config
            .realms
            .iter()
            .any(|entry| matches!(entry.pattern, RealmPattern::Any));
        if !any {
            writeln!(
                f,
                "any other realm: no upstream, on-failure {}",
                config.default_on_failure
            )?;
        }
        Ok(())
    }
}

/// In the order in which a realm is matched: the longest match first.
fn rank(pattern: &RealmPattern) -> (u8, std::cmp::Reverse<usize>) {
    match pattern {
        RealmPattern::Exact(_) => (0, std::cmp::Reverse(0)),
        RealmPattern::Suffix(suffix) => (1, std::cmp::Reverse(suffix.as_str().len())),
        RealmPattern::Any => (2, std::cmp::Reverse(0)),
    }
}

fn realm(f: &mut fmt::Formatter<'_>, entry: &RealmEntry) -> fmt::Result {
    let mut names = entry.pattern.to_string();
    for (index, alias) in entry.aliases.iter().enumerate() {
        let before = if index == 0 { " (also " } else { ", " };
        write!(names, "{before}{alias}")?;
    }
    if !entry.aliases.is_empty() {
        names.push(')');
    }
    writeln!(f, "realm {names}")?;
    for (index, proxy) in entry.proxies.iter().enumerate() {
        writeln!(f, "  {}. {proxy}", index + 1)?;
    }
    writeln!(
        f,
        "  deadline {} s, on-failure {}",
        entry.deadline.as_secs(),
        entry.on_failure
    )?;
    if let Some(ca) = &entry.ca {
        writeln!(
            f,
            "  trusts besides the system's roots: {} ({})",
            ca.path.display(),
            count(ca.certs.len())
        )?;
    }
    if let Some(domain) = &entry.target_domain {
        writeln!(f, "  target-domain {domain}")?;
    }
    entry
        .dclocator_hint
        .map_or(Ok(()), |hint| writeln!(f, "  dclocator-hint {hint:#x}"))
}

fn count(certs: usize) -> String {
    if certs == 1 {
        "1 certificate".to_owned()
    } else {
        format!("{certs} certificates")
    }
}

struct Endpoints<'a>(&'a [Endpoint]);

impl fmt::Display for Endpoints<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("not offered");
        }
        for (index, endpoint) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            let after = if endpoint.optional {
                " (if this machine has IPv6)"
            } else {
                ""
            };
            write!(f, "{before}{endpoint}{after}")?;
        }
        Ok(())
    }
}

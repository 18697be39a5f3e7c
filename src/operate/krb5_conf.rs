//! krb5.conf, the file that says where each realm's KDCs are.
//!
//! `profile` reads it as MIT krb5 does. `stanzas` has what it is to say, with the `servers` that it names, and `block` our part
//! of a file that is somebody else's; they are pure. `install` decides which file changes in which way, and `safe_file` changes
//! it where nobody else could interfere, or there are `errors`.

mod block;
mod errors;
pub(crate) mod host;
mod install;
pub(crate) mod profile;
mod safe_file;
mod servers;
mod stanzas;

#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::Path;

pub(crate) use host::{Host, MAX_FILE, Machine};
pub(crate) use install::{DROP_IN, INSTALL, INSTALL_INLINE};
#[cfg(test)]
pub(crate) use tests::disk;

use crate::config::{Config, Sources};
use crate::relay::failure::Failure;
use crate::relay::finding::Finding;
use block::Origin;
use profile::Profile;
use stanzas::Stanzas;

/// Which stanzas are meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    /// In krb5.conf itself, for libraries that know no includedir.
    pub inline: bool,
    /// Of Unix sockets.
    pub unix: bool,
}

/// Prints what krb5.conf is to say on stdout, and on stderr what else is to be known.
///
/// # Errors
/// What is wrong with the configuration, or that no krb5.conf could say it.
pub fn print(sources: &Sources, form: Form) -> Result<(), Failure> {
    let stanzas = Stanzas::from_config(&Config::load(sources)?, form.unix)?;
    let text = match form.inline {
        true => block::part(&Origin::default(), &stanzas.sections()),
        false => stanzas.file(),
    };
    // A reader that is gone changes nothing about the configuration.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    let files = host::files(&Machine);
    let (profile, _) = profile::read_all(&files, &mut Machine);
    warn(&stanzas, &profile, Vec::new());
    Ok(())
}

/// Has krb5.conf say it. What was done goes to stdout, and what else is to be known to stderr.
///
/// # Errors
/// As [`print()`], or that a file may not be written.
pub fn install(sources: &Sources, form: Form) -> Result<(), Failure> {
    let stanzas = Stanzas::from_config(&Config::load(sources)?, form.unix)?;
    say(&install::install(Path::new("/etc"), &stanzas, form.inline)?.carry_out()?);
    let (profile, _) = profile::read_all(&[host::FILE.to_owned()], &mut Machine);
    let unread = unread_by_some(&profile);
    warn(&stanzas, &profile, unread);
    Ok(())
}

/// Takes away what [`install`] wrote.
///
/// # Errors
/// A file that may not be written.
pub fn remove(inline: bool) -> Result<(), Failure> {
    say(&install::remove(Path::new("/etc"), inline)?.carry_out()?);
    Ok(())
}

/// Whom what stands in /etc/krb5.conf does not reach.
fn unread_by_some(profile: &Profile) -> Vec<String> {
    let mut told: Vec<_> = profile.errors.iter().map(ToString::to_string).collect();
    if let Some(list) = Machine.variable("KRB5_CONFIG") {
        told.push(format!(
            "KRB5_CONFIG is {list:?} here: what runs with it reads that, and not {}",
            host::FILE
        ));
    }
    for include in profile.includes.iter().filter(|include| include.is_late) {
        told.push(format!(
            "{}: stands behind the first section, and Java gives the whole file up for that",
            include.place
        ));
    }
    let heimdal = host::heimdal(&mut Machine);
    if let (Some(include), Some(library)) = (profile.includes.first(), heimdal) {
        told.push(format!(
            "{}: Heimdal, which is installed ({library}), reads nothing from there on. For it: {INSTALL_INLINE}, without such lines",
            include.place
        ));
    }
    told
}

fn say(done: &[String]) {
    let mut stdout = std::io::stdout().lock();
    for words in done {
        // A reader that is gone changes nothing about what was done.
        let _ = writeln!(stdout, "{words}");
    }
}

/// Says what is to be known of stanzas, of what krb5.conf says besides, and `more`.
fn warn(stanzas: &Stanzas, profile: &Profile, more: Vec<String>) {
    let words = stanzas.notes.iter().cloned();
    let words = words.chain(more).chain(stanzas.conflicts(profile));
    let units = stanzas.servers.unopened(servers::systemctl_show);
    for finding in words.map(Finding::warning).chain(units) {
        eprintln!("loopkdc: warning: {}", finding.what);
        for hint in &finding.hints {
            eprintln!("loopkdc: hint: {hint}");
        }
    }
}

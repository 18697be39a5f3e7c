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

use std::path::Path;

pub(crate) use host::{Host, MAX_FILE, Machine};
pub(crate) use install::{INSTALL, INSTALL_INLINE};
#[cfg(test)]
pub(crate) use tests::disk;

use super::terminal;
use crate::config::{Config, Sources};
use crate::relay::failure::Failure;
use crate::relay::finding::{Finding, Hint};
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
    terminal::print(&text);
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
    let done = install::install(Path::new("/etc"), &stanzas, form.inline)?.carry_out()?;
    terminal::print(&(done.join("\n") + "\n"));
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
    let done = install::remove(Path::new("/etc"), inline)?.carry_out()?;
    terminal::print(&(done.join("\n") + "\n"));
    Ok(())
}

/// Whom what stands in /etc/krb5.conf does not reach.
fn unread_by_some(profile: &Profile) -> Vec<Finding> {
    let errors = profile.errors.iter().map(ToString::to_string);
    let mut told: Vec<_> = errors.map(Finding::warning).collect();
    if let Some(list) = Machine.variable("KRB5_CONFIG") {
        told.push(Finding::warning(format!(
            "KRB5_CONFIG is {list:?} here: what runs with it reads that, and not {}",
            host::FILE
        )));
    }
    for include in profile.includes.iter().filter(|include| include.is_late) {
        told.push(Finding::warning(format!(
            "{}: stands behind the first section, and Java gives the whole file up for that",
            include.place
        )));
    }
    let heimdal = host::heimdal(&mut Machine);
    if let (Some(include), Some(library)) = (profile.includes.first(), heimdal) {
        let what = format!(
            "{}: Heimdal, which is installed ({library}), reads nothing from there on",
            include.place
        );
        let inline = Hint::command(INSTALL_INLINE.split(' '));
        let finding = Finding::warning(what).hint("for it, without such lines");
        told.push(finding.hint(inline));
    }
    told
}

/// Says what is to be known of stanzas, of what krb5.conf says besides, and `more`.
fn warn(stanzas: &Stanzas, profile: &Profile, more: Vec<Finding>) {
    let notes = stanzas.notes.iter().map(Finding::warning);
    let conflicts = stanzas.conflicts(profile).into_iter().map(Finding::warning);
    let units = stanzas.servers.unopened(host::systemctl_show);
    for finding in notes.chain(more).chain(conflicts).chain(units) {
        terminal::print_warning(&finding);
    }
}

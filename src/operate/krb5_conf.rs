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

use super::doctor::krb5_conf::{ClientConfig, files_and_stanzas};
use super::terminal;
use crate::config::{Config, RealmEntry, Sources};
use crate::relay::failure::Failure;
use crate::relay::finding::{Finding, Severity};
use block::Origin;
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
    terminal::print(&if form.inline {
        block::part(Origin::default(), &stanzas.sections())
    } else {
        stanzas.file()
    });
    warn(&stanzas, &[]);
    Ok(())
}

/// Has krb5.conf say it. What was done goes to stdout, and what the doctor would say of the result to stderr.
///
/// # Errors
/// As [`print()`], or that a file may not be written.
pub fn install(sources: &Sources, form: Form) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    let stanzas = Stanzas::from_config(&config, form.unix)?;
    let done = install::install(Path::new("/etc"), &stanzas, form.inline)?.carry_out()?;
    terminal::print(&(done.join("\n") + "\n"));
    let realms = config.realms.iter().filter_map(RealmEntry::realm);
    let realms: Vec<_> = realms.cloned().collect();
    let client = ClientConfig::of_this_machine();
    warn(&stanzas, &files_and_stanzas(&client, &config, &realms));
    Ok(())
}

/// Takes away what [`install`] wrote.
///
/// # Errors
/// A file that may not be written.
pub fn remove() -> Result<(), Failure> {
    let done = install::remove(Path::new("/etc"))?.carry_out()?;
    terminal::print(&(done.join("\n") + "\n"));
    Ok(())
}

/// Says what is to be known of stanzas, and of what krb5.conf says besides.
fn warn(stanzas: &Stanzas, findings: &[Finding]) {
    let mut notes: Vec<_> = stanzas.notes.iter().map(Finding::warning).collect();
    notes.extend(stanzas.servers.unopened(&host::socket_units()));
    let told = notes.iter().chain(findings);
    let told = told.filter(|finding| finding.severity >= Severity::Warning);
    told.for_each(terminal::print_warning);
}

//! krb5.conf, the file that says where each realm's KDCs are.
//!
//! `profile` reads it as MIT krb5 does. `servers`, `drop_in` and `block` write what it is to say, `beside` tells what it says
//! besides, and `units` what of it nobody serves; they are pure. `install` decides which file changes in which way, from what
//! `places` finds, and a file is `seen` only by a `way` that nobody else can lead elsewhere. `plan` and `staged` change files,
//! under a `lock`, if each is as it was seen; what is `done` is undone if that is as it was left. Or the `trouble` is told.

mod beside;
mod block;
#[cfg(test)]
pub(crate) mod disk;
mod done;
mod drop_in;
pub(crate) mod host;
mod install;
mod lock;
mod machine;
mod places;
mod plan;
pub(crate) mod profile;
mod seen;
mod servers;
mod staged;
mod trouble;
mod units;
mod way;

#[cfg(test)]
mod tests;

use std::io::Write as _;

pub(crate) use install::{DROP_IN, INSTALL, INSTALL_INLINE};
pub(crate) use machine::{Host, MAX_FILE, Machine};

use crate::config::{Config, Sources};
use crate::relay::failure::Failure;
use block::{Content, Origin};
use drop_in::DropIn;
use lock::Lock;
use places::Places;

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
    let made = made(sources, form)?;
    let text = match form.inline {
        true => block::part(&Content::Inline(made.sections()), &Origin::default(), &made),
        false => made.file(),
    };
    // A reader that is gone changes nothing about the configuration.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    let files = host::files(&Machine);
    let (profile, _) = profile::read_all(&files, &mut Machine);
    warn(&made.notes);
    warn(&beside::notes(&profile, &made));
    warn_of_units(&made);
    Ok(())
}

/// Has krb5.conf say it. What was done goes to stdout, and what else is to be known to stderr.
///
/// # Errors
/// As [`print()`], or that a file may not be written.
pub fn install(sources: &Sources, form: Form) -> Result<(), Failure> {
    let made = made(sources, form)?;
    let places = Places::default();
    let (command, plan): (_, fn(&Places, &DropIn) -> _) = match form.inline {
        true => (INSTALL_INLINE, install::install_inline),
        false => (INSTALL, install::install),
    };
    let lock = Lock::take(&places, command)?;
    say(&plan(&places, &made)?.carry_out()?);
    drop(lock);
    warn(&made.notes);
    let file = [places.file().to_string_lossy().into_owned()];
    let (profile, _) = profile::read_all(&file, &mut Machine);
    let faults = profile.errors.iter().map(ToString::to_string);
    warn(&faults.collect::<Vec<_>>());
    warn(&beside::notes(&profile, &made));
    warn_of_units(&made);
    if let Some(list) = Machine.variable("KRB5_CONFIG") {
        warn(&[format!(
            "KRB5_CONFIG is {list:?} here: what runs with it reads that, and not {}",
            host::FILE
        )]);
    }
    for include in profile.includes.iter().filter(|include| include.is_late) {
        warn(&[format!(
            "{}: stands behind the first section, and Java gives the whole file up for that",
            include.place
        )]);
    }
    if let Some(include) = profile.includes.first()
        && let Some(library) = host::heimdal(&mut Machine)
    {
        warn(&[format!(
            "{}: Heimdal, which is installed ({library}), reads nothing from there on. For it: loopkdc krb5-conf --install --inline, without such lines",
            include.place
        )]);
    }
    Ok(())
}

/// Takes away what [`install`] wrote.
///
/// # Errors
/// A file that may not be written.
pub fn remove(inline: bool) -> Result<(), Failure> {
    let places = Places::default();
    let _lock = Lock::take(&places, install::REMOVE)?;
    say(&install::remove(&places, inline)?.carry_out()?);
    Ok(())
}

fn made(sources: &Sources, form: Form) -> Result<DropIn, Failure> {
    DropIn::of(&Config::load(sources)?, form.unix)
}

fn say(done: &[String]) {
    let mut stdout = std::io::stdout().lock();
    for words in done {
        // A reader that is gone changes nothing about what was done.
        let _ = writeln!(stdout, "{words}");
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("loopkdc: warning: {warning}");
    }
}

/// Of what is named where nobody listens.
fn warn_of_units(made: &DropIn) {
    for note in units::notes(&mut Machine, &made.servers) {
        eprintln!(
            "loopkdc: warning: {}\nloopkdc: hint: {}",
            note.what, note.hint
        );
    }
}

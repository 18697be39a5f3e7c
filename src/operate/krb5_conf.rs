//! krb5.conf, the file that says where each realm's KDCs are.
//!
//! `profile` reads it as MIT krb5 does. `stanzas` has what it is to say, with the servers that it names, and `block` our part
//! of a file that is somebody else's; they are pure. `others` is what everybody else says. `install` decides which file changes in
//! which way; `changes` makes the changes one after the other, where nobody else could interfere, or there are `errors`. `sssd` has SSSD go by a file of its own besides.

mod block;
mod changes;
mod errors;
pub(crate) mod host;
mod install;
mod others;
pub(crate) mod profile;
pub(crate) mod sssd;
mod stanzas;

#[cfg(test)]
mod tests;

use std::env::consts::OS;
use std::path::Path;

pub(crate) use host::{Host, MAX_FILE, Machine};
pub(crate) use install::{INSTALL, INSTALL_INLINE, INSTALL_ONLY};
#[cfg(test)]
pub(crate) use tests::disk;

use super::doctor::krb5_conf::{ClientConfig, files_and_stanzas, sssd_logins};
use super::terminal;
use crate::config::{Config, RealmEntry, Sources};
use crate::relay::failure::Failure;
use crate::relay::finding::{Finding, Hint, Severity};
use block::Origin;
use install::{REMOVE, Target};
use stanzas::Stanzas;

/// Where the stanzas are to stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Placement {
    /// In a file of their own if krb5.conf includes others before its first section; else in krb5.conf itself.
    #[default]
    Auto,
    /// In krb5.conf itself, for libraries that know no includedir.
    Inline,
    /// In a file of their own, whoever can't read it.
    DropIn,
}

/// Which stanzas are meant, and where they are to stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    /// Where.
    pub placement: Placement,
    /// Of Unix sockets.
    pub unix: bool,
    /// What others name for the same realms is taken out.
    pub only: bool,
    /// Installed for SSSD, too.
    pub sssd: bool,
}

impl Form {
    /// What to type for it.
    fn command(self) -> String {
        let placement = match self.placement {
            Placement::Auto => "",
            Placement::Inline => " --inline",
            Placement::DropIn => " --drop-in",
        };
        let unix = if self.unix { " --unix" } else { "" };
        let only = if self.only { " --only" } else { "" };
        let sssd = if self.sssd { "" } else { " --no-sssd" };
        format!("{INSTALL}{placement}{unix}{only}{sssd}")
    }
}

/// Prints what krb5.conf is to say on stdout, and on stderr what else is to be known.
///
/// # Errors
/// What is wrong with the configuration, or that no krb5.conf could say it.
pub fn print(sources: &Sources, form: Form) -> Result<(), Failure> {
    let stanzas = Stanzas::from_config(&Config::load(sources)?, form.unix)?;
    terminal::print(&if form.placement == Placement::Inline {
        block::part(Origin::default(), &stanzas.sections())
    } else {
        stanzas.file()
    });
    warn(&stanzas, &[]);
    Ok(())
}

/// Has krb5.conf say it. What was done and what to type next goes to stdout, and what the doctor would say of the result to stderr.
///
/// # Errors
/// As [`print()`], or that a file may not be written.
pub fn install(sources: &Sources, form: Form) -> Result<(), Failure> {
    let config = Config::load(sources)?;
    let file = sources.file.as_deref();
    let named = |failure: Failure| {
        let finding = with_config(failure.finding().clone(), file);
        Failure::of(failure.exit(), finding)
    };
    let (plan, stanzas) = install::install(&Target::of(OS), &config, form).map_err(named)?;
    let done = plan.carry_out().map_err(named)?;
    terminal::print(&terminal::lines(&done));
    let of_sssd = if form.sssd {
        sssd::install(&stanzas)
    } else {
        Ok(None)
    };
    // krb5.conf is changed, whatever becomes of SSSD.
    let next = Finding::warning("").typed("to see whether it works", "loopkdc doctor");
    let next = with_config(next, file).advice();
    terminal::print(&format!("{next}\nto undo it: {REMOVE}\n"));
    let realms = config.realms.iter().filter_map(RealmEntry::realm);
    let realms: Vec<_> = realms.cloned().collect();
    let client = ClientConfig::of_this_machine();
    let mut findings = files_and_stanzas(&client, &config, &realms);
    match &of_sssd {
        Ok(None) if form.sssd => findings.extend(sssd_logins(&client, &config, &realms)),
        Ok(by_hand) => findings.extend(by_hand.clone()),
        Err(_) => {}
    }
    let findings = findings.into_iter();
    let findings = findings.map(|finding| with_config(finding, file));
    let findings: Vec<_> = findings.collect();
    warn(&stanzas, &findings);
    of_sssd.map(|_| ()).map_err(named)
}

/// Takes away what [`install`] wrote.
///
/// # Errors
/// A file that may not be written. The rest goes all the same.
pub fn remove() -> Result<(), Failure> {
    let removed = install::remove(&Target::of(OS)).and_then(|plan| plan.carry_out());
    if let Ok(done) = &removed {
        terminal::print(&terminal::lines(done));
    }
    match (removed, sssd::remove()) {
        (Err(failure), Err(other)) => Err(errors::both(failure, &other)),
        (removed, of_sssd) => removed.and(of_sssd),
    }
}

/// Writes what SSSD reads besides, for those of these realms that can be reached.
///
/// # Errors
/// It may not be written.
pub fn write_for_sssd(realms: &[String]) -> Result<(), Failure> {
    sssd::write(Path::new("/run"), realms)
}

/// Says what is to be known of stanzas, and of what krb5.conf says besides.
fn warn(stanzas: &Stanzas, findings: &[Finding]) {
    let mut notes: Vec<_> = stanzas.notes.iter().map(Finding::warning).collect();
    notes.extend(stanzas.servers.unopened(&host::socket_units()));
    let told = notes.iter().chain(findings);
    let told = told.filter(|finding| finding.severity >= Severity::Warning);
    told.for_each(terminal::print_warning);
}

/// The finding, with `--config FILE` in each command of its hints that reads the configuration of `loopkdc run`: for whoever named
/// one, as without it they would go by another, or find none.
fn with_config(mut finding: Finding, file: Option<&Path>) -> Finding {
    for hint in &mut finding.hints {
        if let (Hint::Command(words), Some(file)) = (hint, file) {
            name_in(words, &file.to_string_lossy());
        }
    }
    finding
}

fn name_in(words: &mut Vec<String>, file: &str) {
    // It may stand behind sudo.
    let mut after = words.iter().skip_while(|word| *word != "loopkdc").skip(1);
    let reads = after
        .next()
        .is_some_and(|command| ["krb5-conf", "doctor"].contains(&command.as_str()));
    let takes_none = ["--config", "--remove", "--sssd"];
    if reads && !after.any(|word| takes_none.contains(&word.as_str())) {
        words.extend(["--config".to_owned(), file.to_owned()]);
    }
}

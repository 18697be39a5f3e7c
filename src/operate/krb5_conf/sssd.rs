//! SSSD, so that a login away from the office brings a ticket.
//!
//! Its back end does without the KDC whenever LDAP is away, unless the krb5.conf that it reads has a `kdc =` of the realm that
//! begins with `https://` (SSSD's krb5_auth.c). While the tunnel is dead it must not have one: SSSD would start krb5_child
//! without end. So sssd.service, and nobody else, reads a second krb5.conf, which is there while the realm can be reached.
//!
//! `domains` reads which realms SSSD asks for, `units` has what systemd is told of it, and [`write`] that second file, by what
//! `loopkdc run` says of its realms. A user without rights writes what is read there, and libkrb5 loads the plugins that a
//! krb5.conf names: so that text only chooses among the realms that root has named, and none of it is written anywhere.

mod domains;
mod units;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

pub(crate) use domains::{AsksOthers, SssdDomain, domains};
pub(crate) use units::{DROP_IN, PATH_UNIT, RESTART, SYSTEM, are_installed};

use super::changes::{self, PlannedFile};
use super::host::{MAX_FILE, Machine};
use super::stanzas::Stanzas;
use crate::config::read;
use crate::operate::terminal;
use crate::relay::failure::Failure;
use crate::relay::finding::Finding;
use crate::relay::text;

/// Sets it up for SSSD's domains of these realms, or takes it away if there is none that it can be set up for, or an
/// administrator has masked the path unit; and tells what was done. What has to be done by hand, where it can't be set up.
///
/// # Errors
/// A file that may not be written, or systemd does not take it.
pub(super) fn install(stanzas: &Stanzas) -> Result<Option<Finding>, Failure> {
    let mut domains = domains(&mut Machine);
    domains.retain(|of| of.asks_others.is_none() && stanzas.realms.contains(&of.realm));
    let mut realms: Vec<_> = domains.iter().map(|domain| domain.realm.clone()).collect();
    realms.sort_unstable();
    realms.dedup();
    if realms.is_empty() {
        return remove().map(|()| None);
    }
    match units::state().as_str() {
        "masked" => remove()?,
        "" | "not-found" => return Ok(Some(by_hand(&domains, &realms))),
        state => terminal::print(&terminal::lines(&units::install(&realms, state)?)),
    }
    Ok(None)
}

/// Takes away what [`install`] made, and tells what was done.
///
/// # Errors
/// As there.
pub(super) fn remove() -> Result<(), Failure> {
    terminal::print(&terminal::lines(&units::remove()?));
    Ok(())
}

/// What to do where systemd does not have the units.
fn by_hand(domains: &[SssdDomain], realms: &[String]) -> Finding {
    let names = terminal::joined(domains.iter().map(|domain| text::line(&domain.name)));
    let what = format!(
        "logins by SSSD ({names}) bring no ticket away from the office: systemd, which would see to that, has no {PATH_UNIT}"
    );
    let write = ["loopkdc", "krb5-conf", "--sssd"].map(str::to_owned);
    let write = write.into_iter().chain(realms.iter().cloned());
    Finding::warning(what)
        .hint(format!("with systemd: put {PATH_UNIT}, loopkdc-sssd.service and loopkdc-sssd-end.service beside loopkdc.service, and do this again"))
        .hint(format!("without: make the folder /run/loopkdc for loopkdc's user, run loopkdc with LOOPKDC_REACHABLE_FILE=/run/{REACHABLE}, and sssd with KRB5_CONFIG={}", units::krb5_config()))
        .command("and whenever the first of these files changes, as root", write)
        .typed("and when loopkdc has ended", &format!("rm -f /run/{REACHABLE} /run/{KRB5_CONF}"))
}

/// Below /run, what `loopkdc run` says by --reachable-file: the realms that can be reached, one a line.
pub(crate) const REACHABLE: &str = "loopkdc/reachable";
/// It makes this after each change of that, to be taken away when it has been acted on.
const CHANGED: &str = "loopkdc/reachable.changed";
/// What SSSD reads.
pub(crate) const KRB5_CONF: &str = "loopkdc-sssd/krb5.conf";
/// The command, for hints.
const COMMAND: &str = "loopkdc krb5-conf --sssd";
/// Has SSSD try the KDC at all. libkrb5 asks it last, if all else has failed, and is refused at once: nobody but root could
/// listen there.
const KDC: &str = "https://127.0.0.1:9/none";
/// Who changes what is read here so often is not to be believed.
const TRIES: usize = 8;
/// systemd gives a path unit up that starts its service more than 200 times in 2 s (systemd.path(5)).
const PACE: Duration = Duration::from_millis(20);

/// Has the file below `run` say which of these realms can be reached, or takes it away if none can.
///
/// # Errors
/// It can't be written, or others than root could.
pub(crate) fn write(run: &Path, realms: &[String]) -> Result<(), Failure> {
    let (told, file) = (run.join(REACHABLE), run.join(KRB5_CONF));
    for _ in 0..TRIES {
        let found = reachable(&told, realms);
        let done = put(&file, &found);
        // Not before, as `loopkdc run` has SSSD wait for this. Of a change after the next look systemd has the word once more.
        let _ = fs::remove_file(run.join(CHANGED));
        done?;
        // When loopkdc.service ends, both files are taken away, the one that is read here before the other.
        if reachable(&told, realms) == found {
            thread::sleep(PACE);
            return Ok(());
        }
    }
    put(&file, &[])
}

/// Those of the realms that can be reached. None: so it is said, or nobody says so in a way that is to be believed.
fn reachable<'a>(told: &Path, realms: &'a [String]) -> Vec<&'a str> {
    let octets = read::regular_itself(told, MAX_FILE).unwrap_or_default();
    let text = String::from_utf8_lossy(&octets);
    let named: HashSet<_> = text.lines().collect();
    let realms = realms.iter().map(String::as_str);
    realms.filter(|realm| named.contains(realm)).collect()
}

/// What the file says of realms that can be reached.
fn content(realms: &[&str]) -> String {
    let mut text = "# For sssd.service alone, while these realms can be reached: loopkdc-sssd.service writes it anew.\n[realms]\n".to_owned();
    for realm in realms {
        text += &format!("    {realm} = {{\n        kdc = {KDC}\n    }}\n");
    }
    text
}

fn put(file: &Path, realms: &[&str]) -> Result<(), Failure> {
    let mut planned = PlannedFile::read(file.to_owned(), COMMAND)?;
    planned.should_be = (!realms.is_empty()).then(|| content(realms).into_bytes());
    changes::carry_out(&changes::with_folder(&planned), COMMAND).map(|_| ())
}

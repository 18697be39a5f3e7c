//! SSSD, so that a login away from the office brings a ticket.
//!
//! Its back end does without the KDC whenever LDAP is away, unless the krb5.conf that it reads has a `kdc =` of the realm that
//! begins with `https://` (SSSD's krb5_auth.c). While the tunnel is dead it must not have one: SSSD would start krb5_child
//! without end. So sssd.service, and nobody else, reads a second krb5.conf, which is there while the realm can be reached.
//!
//! `domains` reads which realms SSSD asks for, `units` has what systemd is told of it, and `reachable` writes that second file,
//! by what `loopkdc run` says.

mod domains;
mod reachable;
mod units;

#[cfg(test)]
mod tests;

pub(crate) use domains::{AsksOthers, SssdDomain, domains};
pub(crate) use reachable::{KRB5_CONF, REACHABLE, write};
pub(crate) use units::{DROP_IN, PATH_UNIT, RESTART, SYSTEM, are_installed};

use super::host::Machine;
use super::stanzas::Stanzas;
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
        state => tell(&units::install(&realms, state)?),
    }
    Ok(None)
}

/// Takes away what [`install`] made, and tells what was done.
///
/// # Errors
/// As there.
pub(super) fn remove() -> Result<(), Failure> {
    tell(&units::remove()?);
    Ok(())
}

fn tell(done: &[String]) {
    let lines = done.iter().map(|line| format!("{line}\n"));
    terminal::print(&lines.collect::<String>());
}

/// What to do where systemd does not have the units.
fn by_hand(domains: &[SssdDomain], realms: &[String]) -> Finding {
    let names: Vec<_> = domains
        .iter()
        .map(|domain| text::line(&domain.name))
        .collect();
    let what = format!(
        "logins by SSSD ({}) bring no ticket away from the office: systemd, which would see to that, has no {PATH_UNIT}",
        names.join(", ")
    );
    let write = ["loopkdc", "krb5-conf", "--sssd"].map(str::to_owned);
    let write = write.into_iter().chain(realms.iter().cloned());
    Finding::warning(what)
        .hint(format!("with systemd: put {PATH_UNIT}, loopkdc-sssd.service and loopkdc-sssd-end.service beside loopkdc.service, and do this again"))
        .hint(format!("without: make the folder /run/loopkdc for loopkdc's user, run loopkdc with LOOPKDC_REACHABLE_FILE=/run/{REACHABLE}, and sssd with KRB5_CONFIG={}", units::krb5_config()))
        .command("and whenever the first of these files changes, as root", write)
        .command("and when loopkdc has ended", ["rm".to_owned(), "-f".to_owned(), format!("/run/{REACHABLE}"), format!("/run/{KRB5_CONF}")])
}

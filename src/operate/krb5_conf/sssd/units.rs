//! What systemd is told: drop-ins for three units, and to watch what `loopkdc run` says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::{KRB5_CONF, REACHABLE};
use crate::operate::krb5_conf::block::DIRECTORY_MADE;
use crate::operate::krb5_conf::changes::{self, Change, FileChanges, PlannedFile};
use crate::operate::krb5_conf::errors;
use crate::operate::krb5_conf::host::{systemctl, systemctl_says, systemd_is_at_work};
use crate::operate::krb5_conf::install::{INSTALL, REMOVE};
use crate::operate::krb5_conf::stanzas::MARK;
use crate::relay::failure::{Exit, Failure};

/// Where the administrator's units and drop-ins are.
pub(crate) const SYSTEM: &str = "/etc/systemd/system";
/// What starts the service that writes the file.
pub(crate) const PATH_UNIT: &str = "loopkdc-sssd.path";
/// After which both services go by the drop-ins.
pub(crate) const RESTART: &str = "systemctl restart loopkdc sssd";
/// For each of three units.
pub(crate) const DROP_IN: &str = "loopkdc-sssd.conf";

/// What has a drop-in.
const UNITS: [&str; 3] = ["sssd.service", "loopkdc.service", "loopkdc-sssd.service"];

/// What sssd.service reads.
pub(super) fn krb5_config() -> String {
    format!("/etc/krb5.conf:/run/{KRB5_CONF}")
}

/// What each of [`UNITS`] is told.
fn contents(realms: &[String]) -> [String; 3] {
    // To systemd a percent sign begins a specifier.
    let realms = realms.join(" ").replace('%', "%%");
    let sssd = format!("Environment=KRB5_CONFIG={}", krb5_config());
    let loopkdc = format!(
        "Environment=LOOPKDC_REACHABLE_FILE=/run/{REACHABLE}\n\
         # However it ends, nobody says any more what can be reached.\n\
         ExecStopPost=+/bin/rm -f /run/{REACHABLE} /run/{KRB5_CONF}"
    );
    let own = format!("Environment=\"LOOPKDC_SSSD_REALMS={realms}\"");
    [sssd, loopkdc, own]
}

/// A drop-in of ours, or none yet, and the folder that it is in.
pub(super) struct UnitDropIn {
    file: PlannedFile,
    folder: PathBuf,
    /// The folder was made for it, and goes with it.
    made_folder: bool,
}

impl UnitDropIn {
    /// `unit`: whose. `command`: what to type, to try again.
    fn read(system: &Path, unit: &str, command: &str) -> Result<Self, Failure> {
        let folder = system.join(format!("{unit}.d"));
        let file = PlannedFile::read(folder.join(DROP_IN), command)?;
        let made_folder = match &file.is {
            None => !folder.is_dir(),
            Some(octets) if octets.starts_with(MARK.as_bytes()) => {
                let text = String::from_utf8_lossy(octets);
                text.lines().nth(1) == Some(DIRECTORY_MADE)
            }
            Some(_) => return Err(errors::foreign(&file.path, command)),
        };
        Ok(Self {
            file,
            folder,
            made_folder,
        })
    }

    fn saying(mut self, content: &str) -> Self {
        let made = self.made_folder.then_some(DIRECTORY_MADE);
        let lines = [Some(MARK), made, Some("[Service]"), Some(content)];
        let lines = lines.into_iter().flatten();
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        self.file.should_be = Some(text.into_bytes());
        self
    }

    fn changes(&self) -> FileChanges<'_> {
        let mut changes = changes::with_folder(&self.file);
        if self.file.should_be.is_none() && self.made_folder {
            changes.push((&self.folder, Change::Remove));
        }
        changes
    }
}

/// Has the drop-ins be as they should. What was done.
fn change(drop_ins: &[UnitDropIn], command: &str) -> Result<Vec<String>, Failure> {
    let changes = drop_ins.iter().flat_map(UnitDropIn::changes);
    changes::carry_out(&changes.collect(), command)
}

/// Has the drop-ins say this, and the path unit, which is in this state, at work. What was done.
///
/// # Errors
/// A file that may not be written, or systemd does not take it.
pub(super) fn install(realms: &[String], state: &str) -> Result<Vec<String>, Failure> {
    let mut done = put_drop_ins(Path::new(SYSTEM), realms)?;
    if !done.is_empty() {
        reload(INSTALL)?;
    }
    if state != "enabled" {
        have_systemd(&["enable", PATH_UNIT], INSTALL)?;
        let with_it = "and with it loopkdc.service from the start of the machine on";
        done.push(format!("enabled {PATH_UNIT}, {with_it}"));
    }
    // One that is at work has its service look once more, which goes by the drop-ins as they are now.
    if systemd_is_at_work() {
        have_systemd(&["start", PATH_UNIT], INSTALL)?;
    }
    Ok(done)
}

pub(super) fn put_drop_ins(system: &Path, realms: &[String]) -> Result<Vec<String>, Failure> {
    let drop_ins = UNITS.iter().zip(contents(realms)).map(|(unit, content)| {
        let drop_in = UnitDropIn::read(system, unit, INSTALL);
        drop_in.map(|drop_in| drop_in.saying(&content))
    });
    let drop_ins: Result<Vec<_>, _> = drop_ins.collect();
    change(&drop_ins?, INSTALL)
}

/// Takes away what [`install`] made. What was done.
///
/// # Errors
/// As there.
pub(super) fn remove() -> Result<Vec<String>, Failure> {
    let mut drop_ins = drop_ins(Path::new(SYSTEM));
    if drop_ins.is_empty() {
        return Ok(Vec::new());
    }
    let mut done = Vec::new();
    // First, so that this is done again if it does not get to the end.
    if state() == "enabled" {
        have_systemd(&["disable", PATH_UNIT], REMOVE)?;
        done.push(format!("disabled {PATH_UNIT}"));
    }
    if systemd_is_at_work() {
        have_systemd(&["stop", PATH_UNIT, "loopkdc-sssd.service"], REMOVE)?;
    }
    // What was set up by hand, or has a path unit of an earlier version, leaves it.
    let _ = fs::remove_file(Path::new("/run").join(KRB5_CONF));
    done.extend(remove_drop_ins(&mut drop_ins)?);
    reload(REMOVE)?;
    done.push(format!("for both services to be as before: {RESTART}"));
    Ok(done)
}

/// Those that are there and ours: what can't be read is none of ours to remove.
pub(super) fn drop_ins(system: &Path) -> Vec<UnitDropIn> {
    let units = UNITS.iter();
    let read = units.flat_map(|unit| UnitDropIn::read(system, unit, REMOVE));
    read.filter(|drop_in| drop_in.file.is.is_some()).collect()
}

pub(super) fn remove_drop_ins(drop_ins: &mut [UnitDropIn]) -> Result<Vec<String>, Failure> {
    for drop_in in &mut *drop_ins {
        drop_in.file.should_be = None;
    }
    change(drop_ins, REMOVE)
}

/// Drop-ins of ours are there.
pub(crate) fn are_installed(mut has: impl FnMut(&str) -> bool) -> bool {
    let mut units = UNITS.iter();
    units.all(|unit| has(&format!("{SYSTEM}/{unit}.d/{DROP_IN}")))
}

/// Whether the path unit is to start with the machine, in systemctl's words; none where there is no systemctl.
pub(super) fn state() -> String {
    systemctl_says(&["is-enabled", PATH_UNIT]).trim().to_owned()
}

fn reload(command: &str) -> Result<(), Failure> {
    if systemd_is_at_work() {
        have_systemd(&["daemon-reload"], command)?;
    }
    Ok(())
}

/// Has systemctl do this. `command`: what to type, to try again.
fn have_systemd(words: &[&str], command: &str) -> Result<(), Failure> {
    let why = match systemctl(words) {
        Ok(Output { status, .. }) if status.success() => return Ok(()),
        Ok(Output { stderr, .. }) => String::from_utf8_lossy(&stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let what = format!("systemd does not take what SSSD's logins need: {why}");
    let words = ["systemctl"].iter().chain(words).copied();
    let failure = Failure::new(Exit::Config, what)
        .command("see what it says of", words)
        .typed("and then do the rest", command);
    if command == REMOVE {
        return Err(failure);
    }
    Err(failure
        .typed("or do without", REMOVE)
        .typed("and then", &format!("{INSTALL} --no-sssd")))
}

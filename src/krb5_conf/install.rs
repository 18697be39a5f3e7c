//! `--install` and `--remove`: what changes in which file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::block::{self, Content, Origin, Split, Spot};
use super::drop_in::DropIn;
use super::machine::MAX_FILE;
use super::places::{Current, Installed, Places, foreign};
use super::plan::Plan;
use crate::config::read;
use crate::failure::{Exit, Failure};

/// The command, for hints.
pub(crate) const INSTALL: &str = "loopkdc krb5-conf --install";
/// The command, for hints about Heimdal.
pub(crate) const INSTALL_INLINE: &str = "loopkdc krb5-conf --install --inline";
/// Where the drop-in is.
pub(crate) const DROP_IN: &str = "/etc/krb5.conf.d/loopkdc.conf";
const REMOVE: &str = "loopkdc krb5-conf --remove";

/// Has libkrb5 read the stanzas from a file of their own.
pub(super) fn install(places: &Places, made: &DropIn) -> Result<Vec<String>, Failure> {
    let current = Current::read(places, INSTALL)?;
    let split = current.split(places)?;
    let installed = Installed::read(places, INSTALL)?;
    if matches!(installed, Installed::Foreign) {
        return Err(foreign(&places.drop_in()));
    }
    let mut plan = Plan::new(INSTALL);

    let has_directory = places.directory.is_dir();
    if !has_directory {
        plan.make_directory(
            &places.directory,
            format!("made {}", places.directory.display()),
        );
    }
    write_drop_in(places, made, &installed, &mut plan);

    let mut origin = split.as_ref().map_or_else(Origin::default, Split::origin);
    let rest = split
        .as_ref()
        .map_or_else(|| current.octets().to_vec(), Split::rest);
    let includedir = format!("includedir {}/", places.directory.display());
    if !origin.file_made && current.octets.is_some() && places.lead_to_drop_in(&rest) {
        if split.is_some() {
            forget_backup(places, &origin, &rest, &mut plan);
            rewrite(
                places,
                &current,
                &rest,
                "took the stanzas out of",
                &mut plan,
            );
        }
        let file = places.file().display();
        plan.is_so(format!(
            "{file} includes {} already",
            places.directory.display()
        ));
        return plan.carry_out();
    }
    let content = Content::Include(places.directory.display().to_string());
    let octets = match &split {
        Some(split) if !split.is_inline() => split.with(&block::part(&content, &origin, made)),
        _ => {
            origin.directory_made = !has_directory;
            origin.line_ended = false;
            keep(places, &current, split.is_some(), &mut origin, &mut plan);
            Spot::TOP.with(&rest, &block::part(&content, &origin, made))
        }
    };
    write_file(places, &current, octets, &includedir, &mut plan);
    plan.carry_out()
}

/// Has libkrb5, and Heimdal, read the stanzas from krb5.conf itself.
pub(super) fn install_inline(places: &Places, made: &DropIn) -> Result<Vec<String>, Failure> {
    let current = Current::read(places, INSTALL_INLINE)?;
    let split = current.split(places)?;
    let mut plan = Plan::new(INSTALL_INLINE);
    let mut origin = split.as_ref().map_or_else(Origin::default, Split::origin);
    let directory_made = std::mem::take(&mut origin.directory_made);
    let rest = split
        .as_ref()
        .map_or_else(|| current.octets().to_vec(), Split::rest);
    if let Some(line) = block::stray_line(&rest) {
        return Err(stray(places.file(), line));
    }
    let content = Content::Inline(made.sections());
    let octets = match &split {
        Some(split) if split.is_inline() => split.with(&block::part(&content, &origin, made)),
        _ => {
            let spot = Spot::for_sections(&rest);
            origin.line_ended = spot.wants_newline;
            keep(places, &current, split.is_some(), &mut origin, &mut plan);
            spot.with(&rest, &block::part(&content, &origin, made))
        }
    };
    write_file(places, &current, octets, "the stanzas", &mut plan);
    if let Installed::Ours(_) = Installed::read(places, INSTALL_INLINE)? {
        let path = places.drop_in();
        plan.remove(&path, format!("removed {}", path.display()));
    }
    if directory_made {
        remove_directory(places, &mut plan);
    }
    plan.carry_out()
}

/// Takes away what either has written. `inline`: the stanzas in krb5.conf itself, and nothing else.
pub(super) fn remove(places: &Places, inline: bool) -> Result<Vec<String>, Failure> {
    let current = Current::read(places, REMOVE)?;
    let split = current
        .split(places)?
        .filter(|split| !inline || split.is_inline());
    let mut plan = Plan::new(REMOVE);
    let mut is_ours = false;
    if !inline {
        is_ours = remove_drop_in(places, &mut plan)?;
    }
    if let Some(split) = &split {
        is_ours = true;
        let (origin, rest) = (split.origin(), split.rest());
        // First, while the file still says where it is; it is of no use if it is what the file will be.
        forget_backup(places, &origin, &rest, &mut plan);
        if origin.file_made && rest.is_empty() {
            plan.remove(
                places.file(),
                format!("removed {}, which was made for it", places.file().display()),
            );
        } else {
            let what = match split.is_inline() {
                true => "took the stanzas out of",
                false => "took the includedir line out of",
            };
            rewrite(places, &current, &rest, what, &mut plan);
        }
        if origin.directory_made && !places.lead_to_drop_in(&rest) {
            remove_directory(places, &mut plan);
        }
    }
    if !is_ours {
        let file = places.file().display();
        plan.is_so(match inline {
            true => format!("{file} holds no stanzas of loopkdc's"),
            false => format!(
                "neither {file} nor {} holds anything of loopkdc's",
                places.directory.display()
            ),
        });
    }
    plan.carry_out()
}

fn write_drop_in(places: &Places, made: &DropIn, installed: &Installed, plan: &mut Plan) {
    let (path, text) = (places.drop_in(), made.file());
    let name = path.display().to_string();
    match installed {
        Installed::Ours(octets) if octets == text.as_bytes() => {
            plan.is_so(format!("{name} is as it should be"));
        }
        _ => {
            // A link stays one.
            let target = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let like = target.exists().then_some(target.as_path());
            plan.write(
                &target,
                text.into_bytes(),
                like,
                format!("wrote {name}: {}", made.realms.join(", ")),
            );
        }
    }
}

/// Whether there is something to say of it.
fn remove_drop_in(places: &Places, plan: &mut Plan) -> Result<bool, Failure> {
    let path = places.drop_in();
    match Installed::read(places, REMOVE)? {
        Installed::Nothing => return Ok(false),
        Installed::Ours(_) => plan.remove(&path, format!("removed {}", path.display())),
        Installed::Foreign => plan.is_so(format!(
            "left {} alone, as \"loopkdc krb5-conf --install\" did not make it",
            path.display()
        )),
    }
    Ok(true)
}

fn remove_directory(places: &Places, plan: &mut Plan) {
    let name = places.directory.display();
    plan.remove_directory(
        &places.directory,
        format!("removed {name}, which was made for it"),
    );
}

fn write_file(places: &Places, current: &Current, octets: Vec<u8>, what: &str, plan: &mut Plan) {
    let name = places.file().display();
    match &current.octets {
        Some(before) if *before == octets => plan.is_so(format!("{name} is as it should be")),
        Some(_) => plan.write(
            &current.target,
            octets,
            current.like(),
            format!("wrote {what} into {name}"),
        ),
        None => plan.write(&current.target, octets, None, format!("made {name}")),
    }
}

fn rewrite(places: &Places, current: &Current, rest: &[u8], what: &str, plan: &mut Plan) {
    let name = places.file().display();
    plan.write(
        &current.target,
        rest.to_vec(),
        current.like(),
        format!("{what} {name}"),
    );
}

/// Keeps a copy of a file that has had no part of ours yet.
fn keep(places: &Places, current: &Current, has_part: bool, origin: &mut Origin, plan: &mut Plan) {
    let Some(octets) = &current.octets else {
        origin.file_made = true;
        return;
    };
    if has_part {
        return;
    }
    let name = places.file().display().to_string();
    let mut backup = format!("{name}.before-loopkdc");
    for number in 1_u32.. {
        match read::regular(Path::new(&backup), MAX_FILE) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let done = format!("kept {name} as it was in {backup}");
                plan.write(Path::new(&backup), octets.clone(), current.like(), done);
                break;
            }
            Ok(kept) if kept == *octets => break,
            _ => backup = format!("{name}.before-loopkdc.{number}"),
        }
    }
    origin.backup = Some(backup);
}

/// Whether `path` is one that a copy of krb5.conf is kept at.
fn is_backup(path: &str, places: &Places) -> bool {
    let first = format!("{}.before-loopkdc", places.file().display());
    path.strip_prefix(&first).is_some_and(|rest| {
        let number = rest.strip_prefix('.');
        rest.is_empty() || number.is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

/// A copy of what the file is again is of no more use.
fn forget_backup(places: &Places, origin: &Origin, rest: &[u8], plan: &mut Plan) {
    let Some(backup) = &origin.backup else {
        return;
    };
    // The file says where; root removes nothing else for it.
    if !is_backup(backup, places) {
        return;
    }
    match read::regular(Path::new(backup), MAX_FILE) {
        Ok(kept) if kept == rest => plan.remove(
            Path::new(backup),
            format!("removed {backup}, as that is what krb5.conf is again"),
        ),
        Ok(_) => plan.is_so(format!(
            "left {backup}, as {} was changed since it was made",
            places.file().display()
        )),
        Err(_) => {}
    }
}

fn stray(path: &Path, line: usize) -> Failure {
    let name = path.display();
    Failure::new(
        Exit::Config,
        format!("{name}, line {line}: belongs to no section, and libkrb5 takes no notice of it"),
    )
    .hint("take it out, or write # before it: behind a stanza it would be a mistake")
}

//! `--install` and `--remove`: what changes in which file.

use std::path::Path;

use super::block::{self, Content, Origin, Split, Spot};
use super::drop_in::DropIn;
use super::places::{Current, Installed, Places, foreign};
use super::plan::Plan;
use super::seen::Seen;
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::shell;

/// The command, for hints.
pub(crate) const INSTALL: &str = "loopkdc krb5-conf --install";
/// The command, for hints about Heimdal.
pub(crate) const INSTALL_INLINE: &str = "loopkdc krb5-conf --install --inline";
/// The command, for those whom `--remove` fails.
pub(super) const REMOVE: &str = "loopkdc krb5-conf --remove";
/// More copies of a krb5.conf than anybody needs.
const MAX_COPIES: usize = 100;
/// Where the drop-in is.
pub(crate) const DROP_IN: &str = "/etc/krb5.conf.d/loopkdc.conf";

/// Has libkrb5 read the stanzas from a file of their own.
pub(super) fn install(places: &Places, made: &DropIn) -> Result<Plan, Failure> {
    let current = Current::read(places, INSTALL)?;
    let split = current.split(places)?;
    let installed = Installed::read(places, INSTALL)?;
    let Installed::Ours(drop_in) = installed else {
        return Err(foreign(&places.drop_in()));
    };
    let mut plan = Plan::new(INSTALL);

    let has_directory = places.directory.is_dir();
    if !has_directory {
        plan.make_directory(
            &places.directory,
            format!("made {}", places.directory.display()),
        );
    }
    write_drop_in(made, &drop_in, &mut plan);

    let mut origin = split.as_ref().map_or_else(Origin::default, Split::origin);
    let rest = split
        .as_ref()
        .map_or_else(|| current.octets().to_vec(), Split::rest);
    let includedir = format!("includedir {}/", places.directory.display());
    if !origin.file_made && current.seen.octets().is_some() && places.lead_to_drop_in(&rest) {
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
        return Ok(plan);
    }
    let content = Content::Include(places.directory.display().to_string());
    let octets = match &split {
        Some(split) if !split.is_inline() => split.with(&block::part(&content, &origin, made)),
        _ => {
            origin.directory_made = !has_directory;
            origin.line_ended = false;
            keep(places, &current, split.is_some(), &mut origin, &mut plan)?;
            Spot::TOP.with(&rest, &block::part(&content, &origin, made))
        }
    };
    write_file(places, &current, octets, &includedir, &mut plan);
    Ok(plan)
}

/// Has libkrb5, and Heimdal, read the stanzas from krb5.conf itself.
pub(super) fn install_inline(places: &Places, made: &DropIn) -> Result<Plan, Failure> {
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
            keep(places, &current, split.is_some(), &mut origin, &mut plan)?;
            spot.with(&rest, &block::part(&content, &origin, made))
        }
    };
    write_file(places, &current, octets, "the stanzas", &mut plan);
    if let Installed::Ours(seen) = Installed::read(places, INSTALL_INLINE)? {
        remove_ours(&seen, &mut plan);
    }
    if directory_made {
        remove_directory(places, &mut plan);
    }
    Ok(plan)
}

/// Takes away what either has written. `inline`: the stanzas in krb5.conf itself, and nothing else.
pub(super) fn remove(places: &Places, inline: bool) -> Result<Plan, Failure> {
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
        // A link is somebody else's, and stays with what it leads to.
        if origin.file_made && rest.is_empty() && !current.seen.is_link {
            plan.remove(
                &current.seen,
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
    Ok(plan)
}

fn write_drop_in(made: &DropIn, seen: &Seen, plan: &mut Plan) {
    let (name, text) = (seen.name.display(), made.file());
    match seen.octets() {
        Some(octets) if octets == text.as_bytes() => {
            plan.is_so(format!("{name} is as it should be"));
        }
        _ => {
            let done = format!("wrote {name}: {}", made.realms.join(", "));
            plan.write(seen, text.into_bytes(), done);
        }
    }
}

/// Whether there is something to say of it.
fn remove_drop_in(places: &Places, plan: &mut Plan) -> Result<bool, Failure> {
    match Installed::read(places, REMOVE)? {
        Installed::Ours(seen) => Ok(remove_ours(&seen, plan)),
        Installed::Foreign => {
            plan.is_so(format!(
                "left {} alone, as \"loopkdc krb5-conf --install\" did not make it",
                places.drop_in().display()
            ));
            Ok(true)
        }
    }
}

/// Whether there is something to remove.
fn remove_ours(drop_in: &Seen, plan: &mut Plan) -> bool {
    let is_there = drop_in.file.is_some();
    if is_there {
        let (name, target) = (drop_in.name.display(), drop_in.target.display());
        let done = match drop_in.is_link {
            true => format!("removed {name}, and {target}, which it was a link to"),
            false => format!("removed {name}"),
        };
        plan.remove(drop_in, done);
    }
    is_there
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
    let done = match current.seen.octets() {
        Some(before) if *before == *octets => {
            return plan.is_so(format!("{name} is as it should be"));
        }
        Some(_) => format!("wrote {what} into {name}"),
        None => format!("made {name}"),
    };
    plan.write(&current.seen, octets, done);
}

fn rewrite(places: &Places, current: &Current, rest: &[u8], what: &str, plan: &mut Plan) {
    let name = places.file().display();
    plan.write(&current.seen, rest.to_vec(), format!("{what} {name}"));
}

/// Keeps a copy of a file that has had no part of ours yet.
///
/// # Errors
/// There are too many copies.
fn keep(
    places: &Places,
    current: &Current,
    has_part: bool,
    origin: &mut Origin,
    plan: &mut Plan,
) -> Result<(), Failure> {
    let Some(octets) = current.seen.octets() else {
        origin.file_made = true;
        return Ok(());
    };
    if has_part {
        return Ok(());
    }
    let name = places.file().display().to_string();
    let first = format!("{name}.before-loopkdc");
    for number in 0..MAX_COPIES {
        let backup = match number {
            0 => first.clone(),
            number => format!("{first}.{number}"),
        };
        // What can't be read is none, and stays.
        let Ok(seen) = Seen::read(Path::new(&backup)) else {
            continue;
        };
        match seen.octets() {
            None => {
                let done = format!("kept {name} as it was in {backup}");
                plan.write_like(&seen, octets.to_vec(), &current.seen, done);
            }
            Some(kept) if kept == octets && !seen.is_link => {}
            Some(_) => continue,
        }
        origin.backup = Some(backup);
        return Ok(());
    }
    Err(full(places.file(), &first))
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
    let Ok(kept) = Seen::read(Path::new(backup)) else {
        return;
    };
    match kept.octets() {
        Some(octets) if octets == rest && !kept.is_link => plan.remove(
            &kept,
            format!("removed {backup}, as that is what krb5.conf is again"),
        ),
        Some(_) => plan.is_so(format!(
            "left {backup}, as {} was changed since it was made",
            places.file().display()
        )),
        None => {}
    }
}

fn full(path: &Path, first: &str) -> Failure {
    let word = shell::word(first);
    Failure::new(
        Exit::Config,
        format!(
            "no name is left to keep {} as it is: {MAX_COPIES} files are there already, from {first} on",
            path.display()
        ),
    )
    .hint(format!("see which of them are still of use: ls -l {word}*"))
}

fn stray(path: &Path, line: usize) -> Failure {
    let name = path.display();
    Failure::new(
        Exit::Config,
        format!("{name}, line {line}: belongs to no section, and libkrb5 takes no notice of it"),
    )
    .hint("take it out, or write # before it: behind a stanza it would be a mistake")
}

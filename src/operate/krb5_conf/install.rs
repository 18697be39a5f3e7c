//! `--install` and `--remove`: what changes in which file.
//!
//! The changes come in an order in which whoever reads the files after any of them finds a valid configuration.

use std::path::{Path, PathBuf};

use super::block::{self, Origin, PartForm, SplitFile, Spot};
use super::errors;
use super::host::Machine;
use super::profile;
use super::safe_file::{FileChange, Snapshot};
use super::stanzas::{MARK, Stanzas};
use crate::relay::failure::Failure;

/// The command, for hints.
pub(crate) const INSTALL: &str = "loopkdc krb5-conf --install";
/// The command, for hints about Heimdal.
pub(crate) const INSTALL_INLINE: &str = "loopkdc krb5-conf --install --inline";
/// The command, for those whom `--remove` fails.
pub(super) const REMOVE: &str = "loopkdc krb5-conf --remove";

/// What is there, and changes of it in their order, each with the words for it.
#[derive(Debug)]
pub(super) struct Plan {
    changes: Vec<(PathBuf, FileChange, String)>,
    /// What is to be said of files that stay as they are.
    notes: Vec<String>,
    /// What to type, to try again.
    command: &'static str,
    /// krb5.conf.
    file: Snapshot,
    split: SplitFile,
    origin: Origin,
    /// krb5.conf without our part.
    rest: Vec<u8>,
    /// krb5.conf.d.
    directory: PathBuf,
    drop_in: Snapshot,
    /// Whether the drop-in is there and not of our making.
    is_foreign: bool,
}

/// Has libkrb5 read the stanzas: from a file of their own, or, `inline`, from krb5.conf itself.
pub(super) fn install(etc: &Path, stanzas: &Stanzas, inline: bool) -> Result<Plan, Failure> {
    let mut plan = Plan::begin(etc, if inline { INSTALL_INLINE } else { INSTALL })?;
    match inline {
        true => plan.put_stanzas(stanzas)?,
        false => plan.put_drop_in(stanzas)?,
    }
    Ok(plan)
}

/// Takes away what [`install`] has written; `inline`: the stanzas in krb5.conf itself, and nothing else.
pub(super) fn remove(etc: &Path, inline: bool) -> Result<Plan, Failure> {
    let mut plan = Plan::begin(etc, REMOVE)?;
    let form = plan.split.form();
    match form {
        Some(PartForm::Inline) => plan.take_part_out("stanzas"),
        Some(PartForm::Include) if !inline => plan.take_part_out("includedir line"),
        Some(PartForm::Include) | None => {}
    }
    if !inline {
        plan.remove_drop_in();
    }
    if !inline || form == Some(PartForm::Inline) {
        plan.forget_copy();
    }
    if !inline && plan.origin.directory_made && !plan.leads_to_drop_in() {
        plan.remove(plan.directory.clone(), ", which was made for it");
    }
    if plan.changes.is_empty() && plan.notes.is_empty() {
        let (file, directory) = (plan.file.path.display(), plan.directory.display());
        plan.notes.push(match inline {
            true => format!("{file} holds no stanzas of loopkdc's"),
            false => format!("neither {file} nor {directory} holds anything of loopkdc's"),
        });
    }
    Ok(plan)
}

impl Plan {
    /// Reads what is there below `etc`.
    fn begin(etc: &Path, command: &'static str) -> Result<Self, Failure> {
        let file = Snapshot::read(&etc.join("krb5.conf"), command)?;
        let text = file.octets.as_deref().unwrap_or_default();
        let split = SplitFile::parse(text).map_err(|line| errors::unpaired(&file.path, line))?;
        let directory = etc.join("krb5.conf.d");
        let path = directory.join("loopkdc.conf");
        let is_link = path.is_symlink();
        let drop_in = match is_link {
            true => Snapshot { path, octets: None },
            false => Snapshot::read(&path, command)?,
        };
        let is_ours = |octets: &Vec<u8>| octets.starts_with(MARK.as_bytes());
        Ok(Self {
            changes: Vec::new(),
            notes: Vec::new(),
            command,
            origin: split.origin(),
            rest: split.rest(),
            file,
            split,
            directory,
            is_foreign: is_link || !drop_in.octets.as_ref().is_none_or(is_ours),
            drop_in,
        })
    }

    /// Makes the changes, and returns what is to be said of them.
    ///
    /// # Errors
    /// What stood in the way, with what was done before it and what was not.
    pub(super) fn carry_out(self) -> Result<Vec<String>, Failure> {
        let mut done = Vec::new();
        for (index, (path, change, words)) in self.changes.iter().enumerate() {
            match change.apply(path) {
                Ok(true) => done.push(words.clone()),
                Ok(false) => {}
                Err(error) => {
                    let failure = errors::failed(path, "written", &error, self.command);
                    let left = self.changes.iter().skip(index);
                    let left: Vec<_> = left.map(|(path, ..)| path.display().to_string()).collect();
                    return Err(errors::unfinished(failure, &done, &left, self.command));
                }
            }
        }
        done.extend(self.notes);
        Ok(done)
    }

    fn put_drop_in(&mut self, stanzas: &Stanzas) -> Result<(), Failure> {
        let path = self.drop_in.path.clone();
        if self.is_foreign {
            return Err(errors::foreign(&path));
        }
        let directory = self.directory.display().to_string();
        let makes_directory = !self.directory.is_dir();
        if makes_directory {
            let change = (
                self.directory.clone(),
                FileChange::MakeDirectory,
                format!("made {directory}"),
            );
            self.changes.push(change);
        }
        let done = format!("wrote {}: {}", path.display(), stanzas.realms.join(", "));
        self.write(&self.drop_in.clone(), stanzas.file().into_bytes(), done);
        let is_others = self.file.octets.is_some() && !self.origin.file_made;
        if is_others && self.leads_to_drop_in() {
            if self.split.form().is_some() {
                self.take_part_out("stanzas");
                self.forget_copy();
            }
            let file = self.file.path.display();
            self.notes
                .push(format!("{file} includes {directory} already"));
            return Ok(());
        }
        if self.split.form() != Some(PartForm::Include) {
            self.origin.directory_made = makes_directory;
        }
        let line = format!("includedir {directory}/");
        self.put_part(PartForm::Include, &format!("{line}\n"), &line, stanzas)
    }

    fn put_stanzas(&mut self, stanzas: &Stanzas) -> Result<(), Failure> {
        if let Some(line) = block::stray_line(&self.rest) {
            return Err(errors::stray(&self.file.path, line));
        }
        let directory_made = std::mem::take(&mut self.origin.directory_made);
        self.put_part(PartForm::Inline, "", "the stanzas", stanzas)?;
        if !self.is_foreign {
            self.remove_drop_in();
        }
        if directory_made {
            self.remove(self.directory.clone(), ", which was made for it");
        }
        Ok(())
    }

    /// Writes our part, which begins with `head`, into krb5.conf.
    fn put_part(
        &mut self,
        form: PartForm,
        head: &str,
        what: &str,
        stanzas: &Stanzas,
    ) -> Result<(), Failure> {
        let spot = Spot::find(&self.rest, form);
        let is_in_place = self.split.form() == Some(form);
        if !is_in_place {
            self.origin.line_ended = spot.wants_newline;
            self.origin.file_made |= self.file.octets.is_none();
        }
        if self.split.form().is_none() {
            self.keep_copy()?;
        }
        let mut content = head.to_owned();
        if self.origin.file_made {
            content += &format!("\n{}\n", stanzas.defaults());
        }
        if form == PartForm::Inline {
            content += &stanzas.sections();
        }
        let part = block::part(&self.origin, &content);
        let octets = match is_in_place {
            true => self.split.with(&part),
            false => spot.with(&self.rest, &part),
        };
        let name = self.file.path.display();
        let done = match self.file.octets {
            Some(_) => format!("wrote {what} into {name}"),
            None => format!("made {name}"),
        };
        self.write(&self.file.clone(), octets, done);
        Ok(())
    }

    /// Writes a file, unless it is as it should be.
    fn write(&mut self, before: &Snapshot, octets: Vec<u8>, done: String) {
        let path = before.path.clone();
        if before.octets.as_ref() == Some(&octets) {
            let words = format!("{} is as it should be", path.display());
            return self.notes.push(words);
        }
        let like = path.clone();
        self.changes
            .push((path, FileChange::Write { octets, like }, done));
    }

    /// `why`: words behind the name.
    fn remove(&mut self, path: PathBuf, why: &str) {
        let done = format!("removed {}{why}", path.display());
        self.changes.push((path, FileChange::Remove, done));
    }

    /// Takes our part, `what` it is, out of krb5.conf.
    fn take_part_out(&mut self, what: &str) {
        if self.origin.file_made && self.rest.is_empty() {
            return self.remove(self.file.path.clone(), ", which was made for it");
        }
        let done = format!("took the {what} out of {}", self.file.path.display());
        self.write(&self.file.clone(), self.rest.clone(), done);
    }

    fn remove_drop_in(&mut self) {
        let path = self.drop_in.path.clone();
        if self.is_foreign {
            let name = path.display();
            let words = format!("left {name} alone, as \"{INSTALL}\" did not make it");
            self.notes.push(words);
        } else if self.drop_in.octets.is_some() {
            self.remove(path, "");
        }
    }

    /// Keeps krb5.conf as it is, before it gets a part of ours.
    fn keep_copy(&mut self) -> Result<(), Failure> {
        let Some(octets) = self.file.octets.clone() else {
            return Ok(());
        };
        let copy = Snapshot::read(&self.copy(), self.command)?;
        let name = copy.path.display().to_string();
        if copy.octets.as_ref() != Some(&octets) {
            let like = self.file.path.clone();
            let done = format!("kept {} as it was in {name}", like.display());
            let change = FileChange::Write { octets, like };
            self.changes.push((copy.path, change, done));
        }
        self.origin.copy = Some(name);
        Ok(())
    }

    /// A copy of what krb5.conf is again is of no more use.
    fn forget_copy(&mut self) {
        // What can't be read is none of ours.
        let copy = Snapshot::read(&self.copy(), self.command).ok();
        let Some((path, Some(octets))) = copy.map(|copy| (copy.path, copy.octets)) else {
            return;
        };
        if octets == self.rest {
            self.remove(path, ", as that is what krb5.conf is again");
        } else if self.split.form().is_some() {
            let (name, file) = (path.display(), self.file.path.display());
            let words = format!("left {name}, as {file} was changed since it was made");
            self.notes.push(words);
        }
    }

    fn copy(&self) -> PathBuf {
        self.file.path.with_file_name("krb5.conf.before-loopkdc")
    }

    /// Whether libkrb5 gets to the drop-in by what stands in krb5.conf outside of our part.
    fn leads_to_drop_in(&self) -> bool {
        let text = String::from_utf8_lossy(&self.rest);
        let path = self.file.path.to_string_lossy();
        let profile = profile::read(&path, &text, &mut Machine);
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        profile.includes.iter().any(|include| {
            let wanted = match include.is_directory {
                true => &self.directory,
                false => &self.drop_in.path,
            };
            whole(Path::new(&include.path)) == whole(wanted)
        })
    }
}

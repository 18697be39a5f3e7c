//! `--install` and `--remove`: what the files should be, and the changes that make them so.

use std::path::{Path, PathBuf};

use super::block::{self, Origin, PartForm, SplitFile};
use super::host::Machine;
use super::stanzas::{MARK, Stanzas};
use super::{errors, profile, safe_file};
use crate::relay::failure::Failure;

/// The command, for hints.
pub(crate) const INSTALL: &str = "loopkdc krb5-conf --install";
/// The command, for hints about Heimdal.
pub(crate) const INSTALL_INLINE: &str = "loopkdc krb5-conf --install --inline";
/// The command, for those whom `--remove` fails.
pub(super) const REMOVE: &str = "loopkdc krb5-conf --remove";

/// What the files are, and what they should be.
#[derive(Debug)]
pub(super) struct Plan {
    /// What to type, to try again.
    command: &'static str,
    /// krb5.conf.d.
    directory: PathBuf,
    has_directory: bool,
    wants_directory: bool,
    drop_in: PlannedFile,
    /// The drop-in is there and not of our making.
    is_foreign: bool,
    /// krb5.conf as it was before it got a part of ours.
    copy: PlannedFile,
    krb5_conf: PlannedFile,
    split: SplitFile,
    /// krb5.conf without our part.
    rest: Vec<u8>,
    /// What is to be said of files that stay as they are.
    notes: Vec<String>,
}

/// A file as it is, and as it should be. None: nothing is there.
#[derive(Debug)]
struct PlannedFile {
    path: PathBuf,
    is: Option<Vec<u8>>,
    should_be: Option<Vec<u8>>,
}

/// A change of one file or directory.
enum Change<'a> {
    MakeDirectory,
    /// With owner, mode and attributes of the file `like`.
    Write {
        octets: &'a [u8],
        like: &'a Path,
    },
    Remove,
}

/// Has libkrb5 read the stanzas: from a file of their own, or, `inline`, from krb5.conf itself.
pub(super) fn install(etc: &Path, stanzas: &Stanzas, inline: bool) -> Result<Plan, Failure> {
    let mut plan = Plan::read(etc, if inline { INSTALL_INLINE } else { INSTALL })?;
    if inline {
        plan.put_stanzas(stanzas);
    } else {
        plan.put_drop_in(stanzas)?;
    }
    Ok(plan)
}

/// Takes away what [`install`] has written.
pub(super) fn remove(etc: &Path) -> Result<Plan, Failure> {
    let mut plan = Plan::read(etc, REMOVE)?;
    plan.take_part_out();
    plan.remove_drop_in();
    Ok(plan)
}

impl Plan {
    /// Reads what is there below `etc`, and has it stay so.
    fn read(etc: &Path, command: &'static str) -> Result<Self, Failure> {
        let krb5_conf = etc.join("krb5.conf");
        let is = safe_file::read(&krb5_conf, command)?;
        let krb5_conf = PlannedFile::new(krb5_conf, is);
        let split = SplitFile::parse(krb5_conf.is.as_deref().unwrap_or_default());
        let split = split.map_err(|line| errors::unpaired(&krb5_conf.path, line))?;
        let copy = etc.join("krb5.conf.before-loopkdc");
        let copy = match safe_file::read(&copy, command) {
            // What can't be read is none of ours to remove.
            Err(_) if command == REMOVE => PlannedFile::new(copy, None),
            is => PlannedFile::new(copy, is?),
        };
        let directory = etc.join("krb5.conf.d");
        let drop_in = directory.join("loopkdc.conf");
        let is_link = drop_in.is_symlink();
        let is = if is_link {
            None
        } else {
            safe_file::read(&drop_in, command)?
        };
        let drop_in = PlannedFile::new(drop_in, is);
        let is_ours = |octets: &Vec<u8>| octets.starts_with(MARK.as_bytes());
        Ok(Self {
            command,
            has_directory: directory.is_dir(),
            wants_directory: directory.is_dir(),
            directory,
            is_foreign: is_link || !drop_in.is.as_ref().is_none_or(is_ours),
            rest: rest(&split, &copy),
            drop_in,
            copy,
            krb5_conf,
            split,
            notes: Vec::new(),
        })
    }

    fn put_drop_in(&mut self, stanzas: &Stanzas) -> Result<(), Failure> {
        if self.is_foreign {
            return Err(errors::foreign(&self.drop_in.path));
        }
        self.wants_directory = true;
        self.drop_in.should_be = Some(stanzas.file().into_bytes());
        let origin = self.split.origin;
        if !origin.file_made && self.leads_to_drop_in() {
            self.take_part_out();
            let (file, directory) = (self.krb5_conf.path.display(), self.directory.display());
            self.notes
                .push(format!("{file} includes {directory} already"));
            return Ok(());
        }
        let directory_made = match self.split.form {
            Some(PartForm::Include) => origin.directory_made,
            _ => !self.has_directory,
        };
        let content = format!("includedir {}/\n", self.directory.display());
        self.put_part(PartForm::Include, directory_made, &content, stanzas);
        Ok(())
    }

    fn put_stanzas(&mut self, stanzas: &Stanzas) {
        self.remove_drop_in();
        self.put_part(PartForm::Inline, false, &stanzas.sections(), stanzas);
    }

    /// Puts our part into krb5.conf, and keeps a copy of that if it has none yet.
    fn put_part(&mut self, form: PartForm, directory_made: bool, content: &str, stanzas: &Stanzas) {
        let Self {
            split, krb5_conf, ..
        } = self;
        let file_made = split.origin.file_made || krb5_conf.is.is_none();
        let origin = Origin {
            file_made,
            directory_made,
        };
        // Behind an includedir, which Java takes for one before the first section alone.
        let defaults = if file_made {
            format!("\n{}", stanzas.defaults())
        } else {
            String::new()
        };
        let part = block::part(origin, &format!("{content}{defaults}"));
        krb5_conf.should_be = Some(if split.form == Some(form) {
            split.with(&part)
        } else {
            block::insert(&self.rest, form, &part)
        });
        if split.form.is_none() && krb5_conf.is.is_some() {
            self.copy.should_be.clone_from(&krb5_conf.is);
        }
    }

    /// Has krb5.conf be what it was, and removes the copy if it is that.
    fn take_part_out(&mut self) {
        if self.split.form.is_some() {
            let is_gone = self.split.origin.file_made && self.rest.is_empty();
            self.krb5_conf.should_be = (!is_gone).then(|| self.rest.clone());
        }
        if self.copy.is.as_ref() == Some(&self.rest) {
            self.copy.should_be = None;
        } else if self.copy.is.is_some() && self.split.form.is_some() {
            let (copy, file) = (self.copy.path.display(), self.krb5_conf.path.display());
            self.notes.push(format!(
                "left {copy}, as {file} was changed since it was made"
            ));
        }
    }

    /// Removes the drop-in, and the directory if that was made for it.
    fn remove_drop_in(&mut self) {
        if self.is_foreign {
            let name = self.drop_in.path.display();
            let note = format!("left {name} alone, as \"{INSTALL}\" did not make it");
            return self.notes.push(note);
        }
        self.drop_in.should_be = None;
        self.wants_directory &= !self.split.origin.directory_made || self.leads_to_drop_in();
    }

    /// libkrb5 gets to the drop-in by what stands in krb5.conf outside of our part.
    fn leads_to_drop_in(&self) -> bool {
        let text = String::from_utf8_lossy(&self.rest);
        let path = self.krb5_conf.path.to_string_lossy();
        let profile = profile::read(&path, &text, &mut Machine);
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        profile.includes.iter().any(|include| {
            let wanted = if include.is_directory {
                &self.directory
            } else {
                &self.drop_in.path
            };
            whole(Path::new(&include.path)) == whole(wanted)
        })
    }

    /// What is to be changed, in an order in which libkrb5 finds a valid configuration after each change: what krb5.conf
    /// names is made before that and removed after it.
    fn changes(&self) -> Vec<(&Path, Change<'_>)> {
        let mut changes = Vec::new();
        if self.wants_directory && !self.has_directory {
            changes.push((self.directory.as_path(), Change::MakeDirectory));
        }
        let files = [
            (&self.drop_in, &self.drop_in),
            (&self.copy, &self.krb5_conf),
            (&self.krb5_conf, &self.krb5_conf),
        ];
        for (file, like) in files {
            if let Some(octets) = &file.should_be
                && file.is != file.should_be
            {
                let like = &like.path;
                changes.push((&file.path, Change::Write { octets, like }));
            }
        }
        for (file, _) in files.iter().rev() {
            if file.is.is_some() && file.should_be.is_none() {
                changes.push((&file.path, Change::Remove));
            }
        }
        if self.has_directory && !self.wants_directory {
            changes.push((&self.directory, Change::Remove));
        }
        changes
    }

    /// Makes the changes, and returns what is to be said of them.
    ///
    /// # Errors
    /// What stood in the way, with what was done before it and what was not.
    pub(super) fn carry_out(&self) -> Result<Vec<String>, Failure> {
        let changes = self.changes();
        let mut done = Vec::new();
        for (index, (path, change)) in changes.iter().enumerate() {
            let (word, changed) = match change {
                Change::MakeDirectory => ("made", safe_file::make_directory(path)),
                Change::Write { octets, like } => ("wrote", safe_file::write(path, octets, like)),
                Change::Remove => ("removed", safe_file::remove(path)),
            };
            if let Err(error) = changed {
                let failure = errors::failed(path, "written", &error, self.command);
                let left = changes.iter().skip(index);
                let left: Vec<_> = left.map(|(path, _)| path.display().to_string()).collect();
                return Err(errors::unfinished(failure, &done, &left, self.command));
            }
            // A directory stays if others have put something into it.
            if word != "removed" || !path.exists() {
                done.push(format!("{word} {}", path.display()));
            }
        }
        done.extend_from_slice(&self.notes);
        if done.is_empty() {
            done.push("nothing is to be changed".to_owned());
        }
        Ok(done)
    }
}

impl PlannedFile {
    fn new(path: PathBuf, is: Option<Vec<u8>>) -> Self {
        let should_be = is.clone();
        Self {
            path,
            is,
            should_be,
        }
    }
}

/// krb5.conf without our part: as it was, but for what was changed since.
fn rest(split: &SplitFile, copy: &PlannedFile) -> Vec<u8> {
    let rest = split.rest();
    match &copy.is {
        // The line before our part had no end, and got one.
        Some(before)
            if split.form == Some(PartForm::Inline) && rest.strip_suffix(b"\n") == Some(before) =>
        {
            before.clone()
        }
        _ => rest,
    }
}

//! `--install` and `--remove`: what the files should be, and the changes that make them so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::block::{self, Origin, PartForm, SplitFile};
use super::changes::{self, Change, FileChanges, PlannedFile};
use super::others::{self, changed, put_back, whole};
use super::profile::{Profile, Relation};
use super::stanzas::{MARK, Stanzas, has_socket};
use super::{Form, Placement, errors};
use crate::config::Config;
use crate::relay::failure::Failure;

/// The command, for hints.
pub(crate) const INSTALL: &str = "loopkdc krb5-conf --install";
/// The command, for hints about Heimdal.
pub(crate) const INSTALL_INLINE: &str = "loopkdc krb5-conf --install --inline";
/// The command, for hints about servers that are named beside ours.
pub(crate) const INSTALL_ONLY: &str = "loopkdc krb5-conf --install --only";
/// The command that undoes all of them.
pub(crate) const REMOVE: &str = "loopkdc krb5-conf --remove";

/// Ours in krb5.conf.d: it sorts before others, as libkrb5 reads them by name, and asks whom it read of first. What it was called
/// by earlier versions stands behind.
const DROP_INS: [&str; 2] = ["00-loopkdc.conf", "loopkdc.conf"];

/// Where krb5.conf is, and whose libraries read it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) etc: PathBuf,
    /// They know includes.
    pub(super) has_includes: bool,
}

impl Target {
    /// `os`: as [`std::env::consts::OS`] has it.
    pub(super) fn of(os: &str) -> Self {
        let is_macos = os == "macos";
        // Apple's Heimdal knows no include. /etc is a link there.
        let etc = if is_macos { "/private/etc" } else { "/etc" };
        Self {
            etc: etc.into(),
            has_includes: !is_macos,
        }
    }
}

/// Lines of files, from 1 on.
type Lines = BTreeMap<PathBuf, BTreeSet<usize>>;

/// What the files are, and what they should be.
#[derive(Debug)]
pub(super) struct Plan {
    /// What to type, to try again.
    command: String,
    /// krb5.conf.d.
    directory: PathBuf,
    has_directory: bool,
    wants_directory: bool,
    drop_ins: [DropIn; 2],
    /// krb5.conf as it was before it got anything of ours.
    copy: PlannedFile,
    krb5_conf: PlannedFile,
    split: SplitFile,
    /// krb5.conf as it was, but for what others changed since.
    rest: Vec<u8>,
    /// What others say in krb5.conf and what that includes.
    others: Profile,
    /// The files of others from which lines were taken out before.
    changed_before: BTreeSet<PathBuf>,
    /// What the files of others in krb5.conf.d say, even if nothing includes them.
    directory_relations: Vec<Relation>,
    /// The files of others from which lines are or were taken out.
    changed: Vec<PlannedFile>,
    /// What is to be said of files that stay as they are.
    notes: Vec<String>,
}

/// A file with the name of one of ours.
#[derive(Debug)]
struct DropIn {
    file: PlannedFile,
    /// It is there and not of our making.
    is_foreign: bool,
}

/// Has libkrb5 read the stanzas of the configuration: from a file of their own, or from krb5.conf itself. What earlier ones
/// were told holds, so that the command without options can be a hint.
pub(super) fn install(
    target: &Target,
    config: &Config,
    form: Form,
) -> Result<(Plan, Stanzas), Failure> {
    let mut plan = Plan::read(&target.etc, form.command())?;
    let keeps_sockets = plan.names_sockets() && has_socket(&config.listen);
    let mut stanzas = Stanzas::from_config(config, form.unix || keeps_sockets)?;
    let part_form = plan.part_form(target, form.placement)?;
    if part_form == PartForm::Include && !plan.leads_to_drop_in() {
        let relations = &mut plan.others.relations;
        relations.append(&mut plan.directory_relations);
    }
    stanzas.complete(&plan.others);
    let taken_out = if form.only || plan.has_taken_out() {
        plan.rivals(&stanzas)
    } else {
        Lines::new()
    };
    plan.change_others(&taken_out)?;
    let rest = changed(&plan.rest, taken_out.get(&plan.krb5_conf.path));
    match part_form {
        PartForm::Include => plan.put_drop_in(&stanzas, rest)?,
        PartForm::Inline => plan.put_stanzas(&stanzas, &rest),
    }
    plan.plan_copy();
    Ok((plan, stanzas))
}

/// Takes away what [`install`] has written.
pub(super) fn remove(target: &Target) -> Result<Plan, Failure> {
    let mut plan = Plan::read(&target.etc, REMOVE.to_owned())?;
    plan.change_others(&Lines::new())?;
    plan.krb5_conf.should_be = plan.without_part(plan.rest.clone());
    plan.plan_copy();
    plan.remove_drop_ins();
    Ok(plan)
}

impl Plan {
    /// Reads what is there below `etc`, and has it stay so.
    fn read(etc: &Path, command: String) -> Result<Self, Failure> {
        let krb5_conf = PlannedFile::read(etc.join("krb5.conf"), &command)?;
        let split = SplitFile::parse(&put_back(krb5_conf.is.as_deref().unwrap_or_default()));
        let split = split.map_err(|line| errors::unpaired(&krb5_conf.path, line))?;
        let copy = etc.join("krb5.conf.before-loopkdc");
        let copy = match PlannedFile::read(copy.clone(), &command) {
            // What can't be read is none of ours to remove.
            Err(_) if command == REMOVE => PlannedFile::new(copy, None),
            copy => copy?,
        };
        let directory = etc.join("krb5.conf.d");
        let [new, old] = DROP_INS.map(|name| DropIn::read(directory.join(name), &command));
        let drop_ins = [new?, old?];
        let rest = rest(&split, &copy);
        let own = drop_ins.iter().filter(|drop_in| !drop_in.is_foreign);
        let own: Vec<_> = own.map(|drop_in| drop_in.file.path.as_path()).collect();
        let (others, mut changed_before) = others::read(&krb5_conf.path, &rest, &own);
        let all = include(&directory);
        let (in_directory, changed) = others::read(&directory, all.as_bytes(), &own);
        changed_before.extend(changed);
        Ok(Self {
            command,
            has_directory: directory.is_dir(),
            wants_directory: directory.is_dir(),
            directory,
            others,
            changed_before,
            directory_relations: in_directory.relations,
            drop_ins,
            rest,
            copy,
            krb5_conf,
            split,
            changed: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// How libkrb5 is to get to the stanzas. Programs that are confined (snap, firejail) may read krb5.conf and none of the files
    /// that it includes, and have no Kerberos at all then: so the first include is nobody's but the administrator's to write.
    fn part_form(&self, target: &Target, placement: Placement) -> Result<PartForm, Failure> {
        let mut includes = self.others.includes.iter();
        let stands_above = includes.any(|include| {
            let is_here = self.krb5_conf.path == Path::new(&*include.place.file);
            is_here && !include.is_late
        });
        match (placement, target.has_includes) {
            (Placement::DropIn, false) => Err(errors::no_includes()),
            (Placement::DropIn, true) => Ok(PartForm::Include),
            (Placement::Inline, _) | (Placement::Auto, false) => Ok(PartForm::Inline),
            (Placement::Auto, true) => {
                let new = if stands_above {
                    PartForm::Include
                } else {
                    PartForm::Inline
                };
                Ok(self.form_before().unwrap_or(new))
            }
        }
    }

    /// The form in which the stanzas are there. None: they are not, or by an include of an earlier version, which put one where
    /// none stood.
    fn form_before(&self) -> Option<PartForm> {
        let [new, _] = &self.drop_ins;
        match self.split.form {
            Some(PartForm::Inline) => Some(PartForm::Inline),
            // An include of others is enough, and krb5.conf has no part of ours then.
            part if new.is_ours() && (part.is_some() || self.leads_to_drop_in()) => {
                Some(PartForm::Include)
            }
            _ => None,
        }
    }

    /// Our stanzas name Unix sockets.
    fn names_sockets(&self) -> bool {
        let drop_ins = self.drop_ins.iter().filter(|drop_in| drop_in.is_ours());
        let ours = drop_ins.filter_map(|drop_in| drop_in.file.is.as_deref());
        let mut ours = ours.chain([&*self.split.part]);
        ours.any(|text| String::from_utf8_lossy(text).contains(" kdc = /"))
    }

    /// Lines of others are comments.
    fn has_taken_out(&self) -> bool {
        let is = self.krb5_conf.is.as_deref().unwrap_or_default();
        !self.changed_before.is_empty() || put_back(is) != is
    }

    /// `rest`: what krb5.conf is to say without our part.
    fn put_drop_in(&mut self, stanzas: &Stanzas, rest: Vec<u8>) -> Result<(), Failure> {
        let [_, old] = &self.drop_ins;
        let is_named = self.includes(old);
        let [new, old] = &mut self.drop_ins;
        // Who includes the old file by its name would include nothing.
        let (drop_in, other) = if is_named { (old, new) } else { (new, old) };
        if drop_in.is_foreign {
            return Err(errors::foreign(&drop_in.file.path, &self.command));
        }
        drop_in.file.should_be = Some(stanzas.file().into_bytes());
        other.remove();
        self.wants_directory = true;
        let origin = self.split.origin;
        if !origin.file_made && self.leads_to_drop_in() {
            self.krb5_conf.should_be = self.without_part(rest);
            let (file, directory) = (self.krb5_conf.path.display(), self.directory.display());
            self.notes
                .push(format!("{file} includes {directory} already"));
            return Ok(());
        }
        let directory_made = match self.split.form {
            Some(PartForm::Include) => origin.directory_made,
            _ => !self.has_directory,
        };
        let content = include(&self.directory);
        self.put_part(PartForm::Include, directory_made, &content, &rest);
        Ok(())
    }

    fn put_stanzas(&mut self, stanzas: &Stanzas, rest: &[u8]) {
        self.remove_drop_ins();
        self.put_part(PartForm::Inline, false, &stanzas.sections(), rest);
    }

    fn put_part(&mut self, form: PartForm, directory_made: bool, content: &str, rest: &[u8]) {
        let origin = Origin {
            file_made: self.split.origin.file_made || self.krb5_conf.is.is_none(),
            directory_made,
        };
        let part = block::part(origin, content);
        self.krb5_conf.should_be = Some(block::insert(rest, form, &part));
    }

    /// krb5.conf without our part: nothing, if it was made for that.
    fn without_part(&self, rest: Vec<u8>) -> Option<Vec<u8>> {
        let is_gone = self.split.origin.file_made && rest.is_empty();
        (self.krb5_conf.is.is_some() && !is_gone).then_some(rest)
    }

    /// A copy of krb5.conf is kept from before there is anything of ours in it, until there is nothing any more.
    fn plan_copy(&mut self) {
        let differs = |file: &Vec<u8>| *file != self.rest;
        let was_changed = self.krb5_conf.is.as_ref().is_some_and(differs);
        let is_changed = self.krb5_conf.should_be.as_ref().is_some_and(differs);
        if is_changed && !was_changed && self.krb5_conf.is.is_some() {
            self.copy.should_be.clone_from(&self.krb5_conf.is);
        } else if !is_changed && self.copy.is.as_ref() == Some(&self.rest) {
            self.copy.should_be = None;
        } else if !is_changed && was_changed && self.copy.is.is_some() {
            let (copy, file) = (self.copy.path.display(), self.krb5_conf.path.display());
            let note = format!("left {copy}, as {file} was changed since it was made");
            self.notes.push(note);
        }
    }

    /// Removes the drop-ins, and the directory if that was made for one.
    fn remove_drop_ins(&mut self) {
        for drop_in in &mut self.drop_ins {
            drop_in.remove();
            if drop_in.is_foreign {
                let name = drop_in.file.path.display();
                let note = format!("left {name} alone, as \"{INSTALL}\" did not make it");
                self.notes.push(note);
            }
        }
        self.wants_directory &= !self.split.origin.directory_made || self.leads_to_drop_in();
    }

    /// libkrb5 gets to a drop-in by what stands in krb5.conf outside of our part.
    fn leads_to_drop_in(&self) -> bool {
        let mut includes = self.others.includes.iter();
        let is_directory = includes.any(|include| {
            include.is_directory && whole(Path::new(&include.path)) == whole(&self.directory)
        });
        is_directory || self.drop_ins.iter().any(|drop_in| self.includes(drop_in))
    }

    /// Somebody else includes this file by its name.
    fn includes(&self, drop_in: &DropIn) -> bool {
        let path = whole(&drop_in.file.path);
        let mut includes = self.others.includes.iter();
        includes.any(|include| !include.is_directory && whole(Path::new(&include.path)) == path)
    }

    /// The lines of others, by their files, that name servers of these realms.
    fn rivals(&mut self, stanzas: &Stanzas) -> Lines {
        let mut lines = Lines::new();
        for rival in stanzas.rivals(&self.others) {
            let (file, line) = (Path::new(&*rival.place.file), rival.place.line);
            lines.entry(file.to_owned()).or_default().insert(line);
            let (file, shown) = (file.display(), rival.shown());
            self.notes
                .push(format!("{file}: \"{shown}\" is a comment now"));
        }
        lines
    }

    /// Has these lines of the files that are included be comments, and all others be what they were.
    fn change_others(&mut self, lines: &Lines) -> Result<(), Failure> {
        let paths = self.changed_before.iter().chain(lines.keys());
        let paths: BTreeSet<_> = paths.filter(|path| **path != self.krb5_conf.path).collect();
        for path in paths {
            let mut file = match PlannedFile::read(path.clone(), &self.command) {
                Err(failure) if self.command == REMOVE => {
                    let why = failure.message();
                    self.notes
                        .push(format!("left comments of ours where they are: {why}"));
                    continue;
                }
                file => file?,
            };
            file.should_be = file.is.as_deref().map(|is| changed(is, lines.get(path)));
            self.changed.push(file);
        }
        Ok(())
    }

    /// What is to be changed, in an order in which libkrb5 finds a valid configuration after each change: what krb5.conf
    /// names is made before that and removed after it.
    fn changes(&self) -> FileChanges<'_> {
        let mut changes = Vec::new();
        if self.wants_directory && !self.has_directory {
            changes.push((self.directory.as_path(), Change::MakeDirectory));
        }
        let [new, old] = &self.drop_ins;
        let mut files = vec![
            (&new.file, &new.file),
            (&old.file, &old.file),
            (&self.copy, &self.krb5_conf),
            (&self.krb5_conf, &self.krb5_conf),
        ];
        files.extend(self.changed.iter().map(|file| (file, file)));
        changes.extend(changes::of_files(&files));
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
        let mut done = changes::carry_out(&self.changes(), &self.command)?;
        done.extend_from_slice(&self.notes);
        if done.is_empty() {
            done.push("nothing is to be changed in krb5.conf".to_owned());
        }
        Ok(done)
    }
}

impl DropIn {
    fn read(path: PathBuf, command: &str) -> Result<Self, Failure> {
        let is_link = path.is_symlink();
        let file = if is_link {
            PlannedFile::new(path, None)
        } else {
            PlannedFile::read(path, command)?
        };
        let is_ours = |octets: &Vec<u8>| octets.starts_with(MARK.as_bytes());
        let is_foreign = is_link || !file.is.as_ref().is_none_or(is_ours);
        Ok(Self { file, is_foreign })
    }

    fn is_ours(&self) -> bool {
        self.file.is.is_some() && !self.is_foreign
    }

    fn remove(&mut self) {
        if !self.is_foreign {
            self.file.should_be = None;
        }
    }
}

fn include(directory: &Path) -> String {
    format!("includedir {}/\n", directory.display())
}

/// krb5.conf without our part: as it was, but for what was changed since.
fn rest(split: &SplitFile, copy: &PlannedFile) -> Vec<u8> {
    let (rest, is_inline) = (split.rest(), split.form == Some(PartForm::Inline));
    match &copy.is {
        // The line before our part had no end, and got one.
        Some(before) if is_inline && rest.strip_suffix(b"\n") == Some(before) => before.clone(),
        _ => rest,
    }
}

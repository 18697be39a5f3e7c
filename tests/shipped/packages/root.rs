//! A Debian on which nothing was installed yet.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::unpacked;

/// A root of one's own: what is changed in it is gone with the test's namespaces.
pub(super) struct Root(PathBuf);

impl Root {
    /// In `dir`. Must be called inside `isolated`.
    pub(super) fn new(dir: &Path) -> Self {
        unpacked::file("debian", "usr/bin/dpkg");
        let debian = unpacked::root("debian");
        let layers = dir.join("layers");
        let root = dir.join("root");
        for folder in [&layers, &root] {
            fs::create_dir(folder).unwrap();
        }
        mount(&["-t", "tmpfs", "tmpfs"], &layers);
        for folder in ["upper", "work"] {
            fs::create_dir(layers.join(folder)).unwrap();
        }
        let options = format!(
            "lowerdir={},upperdir={layers}/upper,workdir={layers}/work",
            debian.display(),
            layers = layers.display()
        );
        mount(&["-t", "overlay", "-o", &options, "overlay"], &root);
        Self(root)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name.trim_start_matches('/'))
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Puts a file there from outside.
    pub(super) fn put(&self, file: &Path, name: &str) {
        fs::copy(file, self.path(name)).unwrap();
    }

    /// The start of a program in it, as root with no more than a login would give.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(&self.0)
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Has its shell do this.
    #[track_caller]
    pub(super) fn run(&self, script: &str) -> String {
        let output = self.command("sh").args(["-ec", script]).output().unwrap();
        succeeded(script, &output)
    }

    /// Every file, folder and link, and what would tell that it was changed.
    pub(super) fn files(&self) -> BTreeMap<String, (u32, u64)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(&self.0).unwrap().display().to_string();
                let length = if metadata.is_dir() { 0 } else { metadata.len() };
                files.insert(name, (metadata.mode(), length));
                if metadata.is_dir() {
                    folders.push(path);
                }
            }
        }
        files
    }
}

#[track_caller]
pub(super) fn succeeded(what: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}{cried}");
    format!("{said}{cried}")
}

fn mount(what: &[&str], at: &Path) {
    let output = Command::new("mount").args(what).arg(at).output().unwrap();
    succeeded("mount", &output);
}

/// The one edit of `config.toml` that its head asks for.
pub(super) fn configured(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|each| line(each) + "\n").collect()
}

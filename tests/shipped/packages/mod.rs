//! The packages, of the program under test: made by the tools that make them for good, and installed on a clean Debian.

mod booted;
mod deb;
mod eyes;
mod login;
mod renew;
mod root;
mod rpm;
mod tickets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::run;

/// A folder for packages, and in it the program where a release build would have put it.
struct Workshop(TempDir);

/// A program for packages of which nobody runs it: they are made in less time.
const STAND_IN: &str = "/usr/bin/true";

impl Workshop {
    fn open() -> Self {
        Self::with(Path::new(env!("CARGO_BIN_EXE_loopkdc")))
    }

    fn with(program: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let release = dir.path().join("target/release");
        fs::create_dir_all(&release).unwrap();
        fs::copy(program, release.join("loopkdc")).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A .deb of this revision.
    fn deb(&self, revision: &str) -> PathBuf {
        let deb = self.path(&format!("loopkdc-{revision}.deb"));
        let mut command = Command::new("cargo-deb");
        command
            .args([
                "--no-build",
                "--strip",
                "--fast",
                "--deb-revision",
                revision,
            ])
            .arg("--output")
            .arg(&deb);
        self.run(&mut command);
        deb
    }

    /// An .rpm of this release.
    fn rpm(&self, release: &str) -> PathBuf {
        let rpm = self.path(&format!("loopkdc-{release}.rpm"));
        let mut command = Command::new("cargo-generate-rpm");
        command
            .args(["--payload-compress", "none", "--target-dir"])
            .arg(self.path("target"))
            .arg("--set-metadata")
            .arg(format!("release = \"{release}\""))
            .arg("--output")
            .arg(&rpm);
        self.run(&mut command);
        rpm
    }

    fn run(&self, command: &mut Command) {
        run(command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", self.path("target")));
    }
}

/// The files of a .deb.
fn in_deb(deb: &Path) -> BTreeSet<String> {
    let list = run(Command::new("dpkg-deb").arg("--contents").arg(deb));
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    let names = names.map(|name| name.trim_start_matches('.').to_owned());
    // Debian's manuals are compressed.
    let names = names.map(|name| {
        if name.contains("/man/") {
            name.trim_end_matches(".gz").to_owned()
        } else {
            name
        }
    });
    names.filter(|name| !name.ends_with('/')).collect()
}

/// The files of an .rpm.
fn in_rpm(rpm: &Path) -> BTreeSet<String> {
    let list = run(Command::new("rpm").args(["-qpl"]).arg(rpm));
    list.lines().map(str::to_owned).collect()
}

/// What is in the one is in the other, but for what each has its own place for.
#[test]
fn both_hold_the_same_files() {
    let workshop = Workshop::with(Path::new(STAND_IN));
    let deb = in_deb(&workshop.deb("1"));
    let rpm = in_rpm(&workshop.rpm("1"));
    let own = |name: &String| {
        let debian = ["copyright", "changelog.gz", "changelog.Debian.gz"];
        let debian = debian.map(|file| format!("/usr/share/doc/loopkdc/{file}"));
        debian.contains(name)
            || name.starts_with("/usr/share/lintian/")
            || name.starts_with("/usr/share/licenses/")
            || name.starts_with("/usr/share/zsh/")
            || name == "/usr/share/doc/loopkdc/CHANGELOG.md"
    };
    let of_deb: BTreeSet<_> = deb.iter().filter(|name| !own(name)).collect();
    let of_rpm: BTreeSet<_> = rpm.iter().filter(|name| !own(name)).collect();
    assert_eq!(of_deb, of_rpm);
    let units = of_deb.iter().filter(|name| name.contains("/systemd/"));
    assert_eq!(units.count(), 13, "{of_deb:#?}");
    let manuals = of_deb.iter().filter(|name| name.contains("/man/"));
    assert!(manuals.count() >= 8, "{of_deb:#?}");
}

/// The one that is installed as it is.
#[test]
fn the_configuration_is_valid_and_says_nothing_yet() {
    let file = crate::packaging("config.toml");
    let check = |file: &Path| {
        run(Command::new(env!("CARGO_BIN_EXE_loopkdc"))
            .args(["check", "--config"])
            .arg(file))
    };
    let report = check(&file);
    assert!(report.contains("any other realm: no proxy"), "{report}");
    assert!(!report.contains("\nrealm "), "{report}");

    let dir = tempfile::tempdir().unwrap();
    let edited = dir.path().join("config.toml");
    fs::write(
        &edited,
        root::configured(&fs::read_to_string(file).unwrap()),
    )
    .unwrap();
    let report = check(&edited);
    assert!(report.contains("\nrealm EXAMPLE.COM\n"), "{report}");
}

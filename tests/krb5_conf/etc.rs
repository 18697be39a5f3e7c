//! An /etc in the place of the machine's, for one mount namespace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::CONFIG;
use crate::support::netns::{bind_over, isolated_as, test_name};

/// A krb5.conf as Debian installs it, shortened.
pub(crate) const DEBIANS: &str = "\
[libdefaults]
\tdefault_realm = ATHENA.MIT.EDU

[realms]
\tATHENA.MIT.EDU = {
\t\tkdc = kerberos.mit.edu
\t}
";

/// What `loopkdc` did.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails the test unless all went well and there was nothing to say about it.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }
}

/// Puts a copy of /etc in its place, without a configuration of `loopkdc`, and with this krb5.conf.
pub(crate) fn furnish(dir: &Path, krb5_conf: Option<&str>) {
    let own = dir.join("etc");
    let copied = Command::new("cp").arg("-a").arg("/etc").arg(&own).status();
    assert!(copied.unwrap().success());
    for name in ["krb5.conf.d", "loopkdc"] {
        let _ = fs::remove_dir_all(own.join(name));
    }
    let _ = fs::remove_file(own.join("krb5.conf"));
    bind_over(&own, Path::new("/etc"));
    if let Some(text) = krb5_conf {
        fs::write("/etc/krb5.conf", text).unwrap();
    }
}

/// Runs `body` as [`isolated_as`] does, where krb5.conf is as Debian installs it and `loopkdc` is configured, with a folder of
/// its own. To be called as [`isolated`](crate::support::netns::isolated) is.
pub(crate) fn on_debian<F: FnOnce(&Path)>(body: F) {
    isolated_as(&test_name::<F>(), || {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        configure(CONFIG);
        body(dir.path());
    });
}

/// Writes the configuration where it is looked for.
pub(crate) fn configure(text: &str) {
    fs::create_dir_all("/etc/loopkdc").unwrap();
    fs::write("/etc/loopkdc/config.toml", text).unwrap();
}

/// The program, as root without a home runs it.
pub(crate) fn program() -> Command {
    with_program(Command::new(env!("CARGO_BIN_EXE_loopkdc")))
}

/// The same behind the words of another program.
pub(crate) fn with_program(mut command: Command) -> Command {
    command
        .env("HOME", "/nonexistent")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("KRB5_CONFIG");
    command
}

/// Runs `loopkdc krb5-conf` with these words behind.
pub(crate) fn krb5_conf(words: &[&str]) -> Ended {
    run(program().arg("krb5-conf").args(words))
}

pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// krb5.conf and all beside it that has to do with it, by name; a directory has no text.
pub(crate) fn all() -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let names = |path: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let mut paths = names("/etc");
    paths.retain(|path| path.to_string_lossy().contains("krb5.conf"));
    paths.extend(names("/etc/krb5.conf.d"));
    let octets = |path: PathBuf| {
        let octets = (!path.is_dir()).then(|| fs::read(&path).unwrap());
        (path, octets)
    };
    paths.into_iter().map(octets).collect()
}

/// What a process that was ended left behind: no library reads it.
pub(crate) fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name.starts_with('.') && name.contains(".loopkdc-")
}

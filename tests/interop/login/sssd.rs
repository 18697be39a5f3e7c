//! SSSD, from packages that are not installed, and the PAM service that asks it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::machine;
use crate::support::client::{Client, Outcome};
use crate::support::process::Process;
use crate::support::unpacked;
use crate::table::Software;

/// The group that tests/run unpacks.
const GROUP: &str = "sssd";
/// Its module for PAM.
const MODULE: &str = "security/pam_sss.so";
/// The PAM service of these tests.
pub(crate) const SERVICE: &str = "desk";
/// Folders that its packages have below /var/lib/sss.
const FOLDERS: [&str; 6] = [
    "db",
    "gpo_cache",
    "mc",
    "pipes/private",
    "pubconf/krb5.include.d",
    "secrets",
];

/// Starts it with this configuration, on a machine of [`machine::furnish`].
pub(crate) fn start(dir: &Path, configuration: &str, environment: &[(&str, String)]) -> Process {
    // It looks for its parts and for its state where they are compiled in.
    machine::mount_over(&unpacked::root(GROUP).join("usr"), "/usr");
    fs::create_dir_all(dir.join("lib/sss")).unwrap();
    machine::mount_over(&dir.join("lib"), "/var/lib");
    machine::mount_empty("/var/lib/sss");
    for folder in FOLDERS {
        fs::create_dir_all(Path::new("/var/lib/sss").join(folder)).unwrap();
    }
    let file = dir.join("sssd.conf");
    fs::write(&file, configuration).unwrap();
    // Or it does not start.
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new("/usr/sbin/sssd");
    command
        .args([
            "--interactive",
            "--logger=stderr",
            "--debug-level=7",
            "--config",
        ])
        .arg(file)
        .env("LD_LIBRARY_PATH", libraries())
        .envs(environment.iter().cloned());
    Process::start("sssd", &mut command, "Marking pam as started")
}

/// Its module for PAM.
pub(crate) fn pam_sss() -> PathBuf {
    libraries().join(MODULE)
}

fn libraries() -> PathBuf {
    unpacked::folder_with(&unpacked::root(GROUP).join("lib"), MODULE)
}

/// The user of this client logs in.
pub(crate) fn login(client: &Client, operations: &[&str], password: &str) -> Outcome {
    let mut command = Command::new("pamtester");
    command.args([SERVICE, "user"]).args(operations);
    client.finish(command, &[password])
}

/// Whether SSSD did without a KDC.
pub(crate) fn by_the_cache(login: &Outcome) -> bool {
    login.text.contains("Authenticated with cached credentials")
}

pub(crate) fn software() -> Software {
    Software::unpacked("SSSD", GROUP, "sssd-common")
}

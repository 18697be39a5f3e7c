//! SSSD, which lets users in by what it remembers of them while no KDC can be reached.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::machine;
use crate::office::{Office, PORT};
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route, gateway};
use crate::support::realm::PASSWORD;
use crate::support::unpacked;
use crate::table::{About, Software, comes_through};

/// The group that tests/run unpacks.
const GROUP: &str = "sssd";
/// The PAM service of these tests.
const SERVICE: &str = "desk";
/// As packaging/doc/recipes.md has it for whoever uses SSSD, but that tickets end with the test.
const CONFIGURATION: &str = "\
    [sssd]\nservices = pam\ndomains = example\n\
    [pam]\npam_verbosity = 2\n\
    [domain/example]\nid_provider = files\nauth_provider = krb5\ncache_credentials = true\n\
    krb5_realm = EXAMPLE.COM\nkrb5_server = 127.0.0.1\nkrb5_use_kdcinfo = false\nkrb5_auth_timeout = 15\n\
    krb5_ccname_template = FILE:%h/ccache\n";
/// Folders that its packages have below /var/lib/sss.
const FOLDERS: [&str; 5] = [
    "db",
    "mc",
    "pipes/private",
    "pubconf/krb5.include.d",
    "secrets",
];

/// An office whose laptop asks SSSD at login.
fn office() -> (Office, Process) {
    let office = machine::office();
    let module = "security/pam_sss.so";
    let libraries = unpacked::folder_with(&unpacked::root(GROUP).join("lib"), module);
    let module = libraries.join(module);
    let module = module.display();
    let lines = ["auth", "account"].map(|kind| format!("{kind} required {module}\n"));
    machine::pam_service(&office, SERVICE, &lines.concat());
    let sssd = sssd(&office, &libraries);
    (office, sssd)
}

fn sssd(office: &Office, libraries: &Path) -> Process {
    // It looks for its parts and for its state where they are compiled in.
    machine::mount_over(&unpacked::root(GROUP).join("usr"), "/usr");
    machine::mount_empty("/var/lib");
    for folder in FOLDERS {
        fs::create_dir_all(Path::new("/var/lib/sss").join(folder)).unwrap();
    }
    let file = office.dir().join("sssd.conf");
    fs::write(&file, CONFIGURATION).unwrap();
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
        .env("LD_LIBRARY_PATH", libraries);
    Process::start("sssd", &mut command, "Marking pam as started")
}

fn login(office: &Office, password: &str) -> Outcome {
    let mut command = Command::new("pamtester");
    command.args([SERVICE, "user", "authenticate", "acct_mgmt"]);
    let login = office.client.finish(command, &[password]);
    login.within(Duration::from_secs(5))
}

/// Whether SSSD did without a KDC.
fn by_the_cache(login: &Outcome) -> bool {
    login.text.contains("Authenticated with cached credentials")
}

#[test]
fn online_offline_and_back() {
    isolated(|| {
        let (mut office, sssd) = office();
        login(&office, "battery staple").fails_with("Authentication failure");
        assert!(!by_the_cache(&login(&office, PASSWORD).succeeds()));

        office.proxy.process.terminate();
        assert!(by_the_cache(&login(&office, PASSWORD).succeeds()));
        login(&office, "battery staple").fails_with("Authentication failure");

        let routes = [Route::to(&office.realm)];
        let dir = office.dir().join(format!("proxy-{PORT}"));
        office.proxy = KdcProxy::gateway(&dir, PORT, &gateway(PORT, &routes));
        // As on a change of the network; left alone it looks again after a minute.
        sssd.signal("USR2");
        sssd.wait_for("resetOffline: Success");
        assert!(!by_the_cache(&login(&office, PASSWORD).succeeds()));
        office.proxy.process.wait_for("kind=AS-REQ");
        let with = [Software::unpacked("SSSD", GROUP, "sssd-common")];
        let what = "SSSD: login, offline by the cached password, and online again";
        comes_through(About::Clients, what, &with);
    });
}

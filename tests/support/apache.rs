//! Apache, which may want a ticket for everything that it serves (RFC 4559), by mod_auth_gssapi.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::process::Process;

/// What every such server loads.
const MODULES: [&str; 3] = ["mpm_event", "authn_core", "authz_core"];
/// What it loads to want tickets.
pub(crate) const TICKETS: [&str; 2] = ["authz_user", "auth_gssapi"];

/// What sets one server apart from another.
pub(crate) struct Site<'a> {
    /// Where it listens.
    pub(crate) listen: &'a str,
    /// What it loads besides.
    pub(crate) modules: &'a [&'a str],
    /// How it logs a request.
    pub(crate) log: &'a str,
    /// Lines of its own, for all of it.
    pub(crate) lines: &'a str,
    /// And for what it serves.
    pub(crate) location: &'a str,
}

/// The lines by which it wants a ticket, with `keytab` in `dir`.
pub(crate) fn wants_ticket(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "AuthType GSSAPI\nAuthName tickets\nGssapiCredStore keytab:{dir}/keytab\n\
         Require valid-user\n"
    )
}

/// Starts it with its files in `dir`, which lies in `above`.
pub(crate) fn start(dir: &Path, above: &Path, site: &Site) -> Process {
    let conf = dir.join("apache.conf");
    fs::write(&conf, configuration(dir, site)).unwrap();
    // It serves as a user of its own, who has to get there.
    let keytab = dir.join("keytab");
    for (path, mode) in [(above, 0o755), (&keytab, 0o644)] {
        if path.exists() {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    }
    let mut command = Command::new("/usr/sbin/apache2");
    command
        .args(["-D", "FOREGROUND", "-f"])
        .arg(conf)
        .env("KRB5_CONFIG", "/dev/null")
        // Each token is new here: a cache of those that came would outlive the test.
        .env("KRB5RCACHENAME", "none:");
    Process::start("apache2", &mut command, "resuming normal operations")
}

fn configuration(dir: &Path, site: &Site) -> String {
    let Site {
        listen,
        modules,
        log,
        lines,
        location,
    } = site;
    let modules: String = MODULES
        .iter()
        .chain(*modules)
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let dir = dir.display();
    format!(
        "{modules}\
         ServerName {listen}\n\
         ServerRoot {dir}\n\
         DefaultRuntimeDir {dir}\n\
         PidFile {dir}/pid\n\
         User www-data\n\
         Group www-data\n\
         Listen {listen}\n\
         ErrorLog /dev/stderr\n\
         LogFormat \"{log}\" line\n\
         CustomLog /dev/stdout line\n\
         {lines}\n\
         <Location />\n{location}\n</Location>\n"
    )
}

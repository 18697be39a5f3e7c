//! Whether a login by SSSD brings a ticket away from the office.

use super::warning;
use crate::operate::krb5_conf::sssd::{
    KRB5_CONF, PATH_UNIT, REACHABLE, RESTART, SssdDomain, are_installed, domains,
};
use crate::operate::krb5_conf::{Host, INSTALL};
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::text;

/// Where SSSD's configuration is.
const FOLDER: &str = "/etc/sssd";
/// Where SSSD says which process it is, by version.
const PID_FILES: [&str; 2] = ["/run/sssd.pid", "/run/sssd/sssd.pid"];

/// SSSD on this machine, and what it is told.
#[derive(Debug, Default)]
pub(super) struct SssdLogins {
    domains: Vec<SssdDomain>,
    /// There are domains, and this user may not see which.
    is_hidden: bool,
    has_drop_ins: bool,
    /// SSSD reads what it is told. None: it does not run.
    reads: Option<bool>,
    /// What `loopkdc run` says of its realms. None: nothing.
    reachable: Option<String>,
    /// What SSSD is told.
    told: String,
}

impl SssdLogins {
    pub(super) fn read(host: &mut dyn Host) -> Self {
        let domains = domains(host);
        if domains.is_empty() {
            let names = host.names(FOLDER).unwrap_or_default();
            let is_there = names.iter().any(|name| name == "sssd.conf");
            let is_hidden = is_there && host.text(&format!("{FOLDER}/sssd.conf")).is_err();
            return Self {
                is_hidden,
                ..Self::default()
            };
        }
        let mut pids = PID_FILES.iter().filter_map(|file| host.text(file).ok());
        let pid = pids.next();
        let environment =
            pid.and_then(|pid| host.text(&format!("/proc/{}/environ", pid.trim())).ok());
        Self {
            is_hidden: false,
            has_drop_ins: are_installed(|file| host.text(file).is_ok()),
            reads: environment.map(|variables| reads(&variables)),
            reachable: host.text(&format!("/run/{REACHABLE}")).ok(),
            told: host.text(&format!("/run/{KRB5_CONF}")).unwrap_or_default(),
            domains,
        }
    }

    /// What is said of none of the realms.
    pub(super) fn hidden(&self) -> Option<Finding> {
        let why = "whether logins by SSSD bring a ticket is for root to see: this user may not read sssd.conf";
        self.is_hidden
            .then(|| Finding::skipped(Layer::Krb5Conf, why))
    }

    pub(super) fn examine(&self, realm: &str) -> impl Iterator<Item = Finding> {
        let domains = self
            .domains
            .iter()
            .filter(move |domain| domain.realm == realm);
        domains.map(|domain| self.login(domain))
    }

    fn login(&self, domain: &SssdDomain) -> Finding {
        let realm = &domain.realm;
        let login = format!("a login by SSSD ({})", text::line(&domain.name));
        let can_be = self
            .reachable
            .as_ref()
            .map(|text| text.lines().any(|line| line == realm));
        let may_try = self
            .told
            .lines()
            .any(|line| line.trim_start().strip_prefix(realm.as_str()) == Some(" = {"));
        match (self.reads, can_be) {
            (Some(false), _) | (_, None) if !self.has_drop_ins => {
                let what = format!("{login} away from the office brings no ticket");
                warning(what).command("have it bring one", INSTALL.split(' '))
            }
            (Some(false), _) | (_, None) => {
                let what = format!(
                    "{login} away from the office brings no ticket until both services have begun anew"
                );
                warning(what).command("have them do so", RESTART)
            }
            (_, Some(can_be)) if can_be != may_try => {
                let what = format!(
                    "SSSD is not told whether {realm} can be reached: {PATH_UNIT} is not at work"
                );
                let restart = ["systemctl", "restart", PATH_UNIT, "loopkdc-sssd.service"];
                warning(what)
                    .command("see why, and start it", ["systemctl", "status", PATH_UNIT])
                    .hint(Hint::command(restart))
            }
            (_, Some(true)) => Finding::ok(
                Layer::Krb5Conf,
                format!("{login} brings a ticket, away from the office, too"),
            ),
            (_, Some(false)) => {
                let what = format!(
                    "{login} goes by the cached password until {realm} can be reached, and then brings a ticket"
                );
                Finding::ok(Layer::Krb5Conf, what)
            }
        }
    }
}

/// Variables of a process, as the kernel shows them: SSSD reads the file by KRB5_CONFIG.
fn reads(variables: &str) -> bool {
    let file = format!("/run/{KRB5_CONF}");
    let mut variables = variables.split('\0');
    let list = variables.find_map(|variable| variable.strip_prefix("KRB5_CONFIG="));
    list.is_some_and(|list| list.split(':').any(|path| path == file))
}

//! Whether a login by SSSD brings a ticket away from the office.

use std::collections::BTreeMap;

use super::warning;
use crate::operate::krb5_conf::sssd::{
    AsksOthers, DROP_IN, KRB5_CONF, PATH_UNIT, REACHABLE, RESTART, SYSTEM, SssdDomain,
    are_installed, domains,
};
use crate::operate::krb5_conf::{Host, INSTALL};
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::text;
use crate::wire::Realm;

/// Where SSSD's configuration is.
const FOLDER: &str = "/etc/sssd";
/// Where SSSD says which process it is, by version.
const PID_FILES: [&str; 2] = ["/run/sssd.pid", "/run/sssd/sssd.pid"];
/// What sssd.service takes variables from besides its unit, on Debian and on Fedora. They go before Environment=.
const ENVIRONMENT_FILES: [&str; 2] = ["/etc/default/sssd", "/etc/sysconfig/sssd"];
/// Where systemd finds drop-ins.
const SYSTEMS: [&str; 4] = [
    "/usr/lib/systemd/system",
    "/usr/local/lib/systemd/system",
    "/run/systemd/system",
    SYSTEM,
];
const KRB5_CONFIG: &str = "KRB5_CONFIG=";

/// SSSD on this machine, and what it is told.
#[derive(Debug, Default)]
pub(super) struct SssdLogins {
    domains: Vec<SssdDomain>,
    /// There are domains, and this user may not see which.
    is_hidden: bool,
    has_drop_ins: bool,
    /// The path unit is masked.
    is_masked: bool,
    /// The path unit is set up, and not at work.
    is_stopped: bool,
    /// What goes before our drop-in: a file, and its KRB5_CONFIG.
    overriding: Option<(String, String)>,
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
        let overriding = overriding(host);
        let will_read = overriding.as_ref().map(|_| false);
        let units = host.names(SYSTEM).unwrap_or_default();
        let has_unit = units.iter().any(|unit| unit == PATH_UNIT);
        let unit = host.text(&format!("{SYSTEM}/{PATH_UNIT}"));
        let has_drop_ins = are_installed(|file| host.text(file).is_ok());
        Self {
            is_hidden: false,
            has_drop_ins,
            is_stopped: has_drop_ins && host.is_inactive(PATH_UNIT),
            // It is empty, or a link to a device, which is no regular file.
            is_masked: has_unit && unit.unwrap_or_default().is_empty(),
            reads: environment.map(|variables| reads(&variables)).or(will_read),
            overriding,
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

    pub(super) fn examine(&self, realm: &Realm) -> Vec<Finding> {
        let domains = self.domains.iter();
        let domains = domains.filter(|domain| domain.realm == realm.as_str());
        domains.map(|domain| self.login(domain)).collect()
    }

    fn login(&self, domain: &SssdDomain) -> Finding {
        let login = format!("a login by SSSD ({})", text::line(&domain.name));
        match (&domain.asks_others, &self.reachable) {
            (Some(asks), _) if !self.is_masked => asks_others(&login, asks),
            _ if self.is_masked && self.has_drop_ins => warning(format!("{login} is still set up to bring a ticket, and {PATH_UNIT} is masked: SSSD is not told whether {} can be reached", domain.realm))
                .typed("take back what was set up", INSTALL),
            (None, Some(reachable)) if self.reads != Some(false) => {
                let can_be = reachable.lines().any(|line| line == domain.realm);
                self.set_up(&login, &domain.realm, can_be)
            }
            _ => self.not_set_up(&login),
        }
    }

    fn not_set_up(&self, login: &str) -> Finding {
        let what = format!("{login} away from the office brings no ticket");
        match &self.overriding {
            _ if self.is_masked => {
                let masked = format!("{what}, as {PATH_UNIT} is masked");
                Finding::skipped(Layer::Krb5Conf, masked)
            }
            _ if !self.has_drop_ins => {
                let mask = format!("systemctl mask --now {PATH_UNIT}");
                warning(what)
                    .typed("have it bring one", INSTALL)
                    .typed("or, if it is to bring none", &mask)
                    .hint(Hint::typed(INSTALL))
            }
            Some((file, list)) => {
                let list = list.escape_debug();
                let reads = format!("KRB5_CONFIG in {file} has SSSD read {list}");
                warning(format!("{what}: {reads}"))
                    .hint(format!("append to it there\n    :/run/{KRB5_CONF}"))
                    .typed("then", "systemctl daemon-reload")
                    .hint(Hint::typed("systemctl restart sssd"))
            }
            None => warning(format!("{what} until both services have begun anew"))
                .typed("have them do so", RESTART),
        }
    }

    /// `can_be`: the realm can be reached.
    fn set_up(&self, login: &str, realm: &str, can_be: bool) -> Finding {
        let is_it = |line: &str| line.trim_start().strip_prefix(realm) == Some(" = {");
        if self.is_stopped || self.told.lines().any(is_it) != can_be {
            let untold = format!("SSSD is not told whether {realm} can be reached");
            let restart = format!("systemctl restart {PATH_UNIT} loopkdc-sssd.service");
            let status = format!("systemctl status {PATH_UNIT}");
            return warning(format!("{untold}: {PATH_UNIT} is not at work"))
                .typed("see why, and start it", &status)
                .hint(Hint::typed(&restart));
        }
        let what = if can_be {
            format!("{login} brings a ticket, away from the office, too")
        } else {
            format!(
                "{login} goes by the cached password while {realm} can't be reached, or has just given a reply that would have SSSD begin again, and brings a ticket else"
            )
        };
        Finding::ok(Layer::Krb5Conf, what)
    }
}

/// Neither is it set up for such a domain, nor would it be right where it is.
fn asks_others(login: &str, asks: &AsksOthers) -> Finding {
    let AsksOthers { section, file, .. } = asks;
    let [kdcs, users] = asks.whose;
    let what = format!(
        "{login} brings no ticket away from the office, as that is not set up for such a domain: SSSD asks the KDCs {kdcs} itself, and would begin a login {users} again without end while they can't be reached"
    );
    let [place, key] = asks.or;
    let (section, file) = (text::line(section), text::line(file));
    let instead = asks.instead.join("\n    ");
    warning(what)
        .hint(format!("write into [{section}] of {file}\n    {instead}"))
        .hint(format!("or, {place}\n    {key}"))
        .typed("then", "systemctl restart sssd")
        .hint(Hint::typed(INSTALL))
}

/// A file whose KRB5_CONFIG goes before our drop-in's, and leaves out what SSSD is told.
fn overriding(host: &mut dyn Host) -> Option<(String, String)> {
    // Of two drop-ins with one name the folder's that stands later here counts (systemd.unit(5)).
    let mut later = BTreeMap::new();
    for folder in SYSTEMS.map(|system| format!("{system}/sssd.service.d")) {
        let names = host.names(&folder).unwrap_or_default().into_iter();
        let names = names.filter(|name| name.ends_with(".conf") && **name > *DROP_IN);
        later.extend(names.map(|name| (name.clone(), format!("{folder}/{name}"))));
    }
    let first = ENVIRONMENT_FILES.map(str::to_owned).into_iter();
    let set = first.chain(later.into_values().rev()).find_map(|file| {
        let text = host.text(&file).ok()?;
        let is_said = |line: &&str| !line.trim_start().starts_with(['#', ';']);
        let lines = text.lines().filter(is_said);
        let mut lists = lines.filter_map(|line| line.split_once(KRB5_CONFIG));
        let (_, list) = lists.next_back()?;
        let list = list.trim_matches(['"', '\'', ' ']);
        Some((file, list.to_owned()))
    });
    set.filter(|(_, list)| !names_ours(list))
}

/// Variables of a process, as the kernel shows them: SSSD reads the file by KRB5_CONFIG.
fn reads(variables: &str) -> bool {
    let mut variables = variables.split('\0');
    let list = variables.find_map(|variable| variable.strip_prefix(KRB5_CONFIG));
    list.is_some_and(names_ours)
}

/// What SSSD is told is among these files.
fn names_ours(list: &str) -> bool {
    let file = format!("/run/{KRB5_CONF}");
    list.split(':').any(|path| path == file)
}

//! The laptop, and what happens to it.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::provider::Provider;
use super::sssd::{self, SERVICE, by_the_cache};
use super::watcher::{REACHABLE, Watcher};
use crate::clients::machine;
use crate::office::PORT;
use crate::support::client::{Client, Outcome};
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Maker, gateway};

/// Where logins leave their tickets: that of `user`, whatever number the user has.
const CACHES: &str = "/run/tickets";
const CACHE: &str = "/run/tickets/user";
/// What SSSD runs each time that it asks a KDC, and what that says first.
const CHILD: &str = "krb5_child started";
/// What is in the environment of both daemons, for machines without systemd.
const OF_LOOPKDC: (&str, &str) = ("LOOPKDC_REACHABLE_FILE", REACHABLE);
const OF_SSSD: (&str, &str) = ("KRB5_CONFIG", "/etc/krb5.conf:/run/loopkdc-sssd/krb5.conf");
const DIRECTORY_PORTS: &str = "{ 53, 389, 445, 636, 3268 }";
/// The tables of the firewall that keep from the directory and from the proxy.
const NO_DIRECTORY: &str = "no_directory";
const NO_PROXY: &str = "no_proxy";
const NO_SERVER: &str = "no_server";

/// A laptop whose owner signs in.
pub(crate) struct Laptop<P: Provider> {
    sssd: Process,
    /// If SSSD is told what can be reached.
    watcher: Option<Watcher>,
    proxy: KdcProxy,
    _loopkdc: Loopkdc,
    pub(crate) office: P,
    client: Client,
    dir: TempDir,
}

/// What was done for SSSD.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetUp {
    None,
    /// As packaging/doc/krb5.conf.md has it for machines without systemd.
    ByHand,
}

/// How a login went.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) says: Says,
    /// Whether the user has a ticket now that is valid.
    pub(crate) ticket: bool,
    pub(crate) took: Duration,
    /// How often a KDC was asked.
    pub(crate) children: usize,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Says {
    /// The KDC has let the user in.
    Online,
    /// SSSD has, by the password that it remembers.
    Cached,
    Refused,
}

impl<P: Provider> Laptop<P> {
    /// At the office, with this PAM service.
    pub(crate) fn open(service: &str, set_up: SetUp) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        // On a machine that still has all users: Samba looks for some when it makes a domain.
        let office = P::start(path);
        let routes = office.routes();
        let proxy = KdcProxy::of(Maker::Ours, path, PORT, &routes);
        let realms = routes.iter().map(|route| &*route.realm);
        let mut client = Client::by_drop_in(path, &realms.clone().collect::<Vec<_>>());
        client.also(P::KRB5_CONF);
        client.default_realm(P::REALM);
        client.also(&format!(
            "[appdefaults]\n pam = {{\n ccache = {CACHE}\n retain_after_close = true\n }}\n"
        ));
        machine::furnish(path, &client);
        machine::replace("/etc/hosts", &format!("127.0.0.1 localhost\n{}", P::HOSTS));
        machine::pam_service(SERVICE, service);
        fs::create_dir(CACHES).unwrap();
        fs::set_permissions(CACHES, Permissions::from_mode(0o1777)).unwrap();
        let configuration: String = realms
            .map(|realm| stanza(realm, &proxy.url(), &proxy))
            .collect();
        fs::create_dir_all("/etc/loopkdc").unwrap();
        fs::write("/etc/loopkdc/config.toml", &configuration).unwrap();
        let mut of_loopkdc = office.environment_of_loopkdc();
        let mut of_sssd = vec![];
        if set_up == SetUp::ByHand {
            of_loopkdc.push(documented(OF_LOOPKDC));
            of_sssd.push(documented(OF_SSSD));
        }
        let watcher = (set_up == SetUp::ByHand).then(|| Watcher::start(P::REALM));
        let loopkdc = Loopkdc::with_environment(path, &configuration, &of_loopkdc);
        let sssd = sssd::start(path, &sssd_conf(&office), &of_sssd);
        Self {
            sssd,
            watcher,
            proxy,
            _loopkdc: loopkdc,
            office,
            client,
            dir,
        }
    }

    /// Waits until SSSD has been told that the realm can be reached, or that it can't.
    #[track_caller]
    pub(crate) fn says_reachable(&self, reachable: bool) {
        self.watcher.as_ref().unwrap().says(reachable);
    }

    /// As when the laptop wakes up elsewhere, or where it was before.
    pub(crate) fn changes_network(&self) {
        let changed = ["add", "delete"].iter().any(|change| {
            let words = ["address", change, "198.51.100.7/32", "dev", "lo"];
            Command::new("ip").args(words).status().unwrap().success()
        });
        assert!(changed);
    }

    /// The user types a password.
    pub(crate) fn logs_in(&self, password: &str) -> Login {
        let _ = fs::remove_file(CACHE);
        let before = self.sssd.count(CHILD);
        let operations = ["authenticate", "acct_mgmt", "setcred", "open_session"];
        let outcome = sssd::login(&self.client, &operations, password);
        let login = Login {
            says: Says::of(&outcome),
            ticket: self.has_ticket(),
            took: outcome.took,
            children: self.sssd.count(CHILD) - before,
        };
        eprintln!("{}: {login:?}", P::NAME);
        login
    }

    fn has_ticket(&self) -> bool {
        let klist = self.client.run(&format!("klist -s -c {CACHE}"), &[]);
        klist.success
    }

    /// Away from the office: the directory is gone, and SSSD has noticed.
    pub(crate) fn leaves(&self) {
        let of = format!("ip daddr {} tcp dport {DIRECTORY_PORTS}", P::DIRECTORY);
        table(NO_DIRECTORY, &format!("{of} reject with tcp reset"));
        self.is_told("USR1", "goOffline: Success");
    }

    /// Away, where nothing comes back from the directory, and SSSD is still to find that out.
    pub(crate) fn leaves_unnoticed(&self) {
        let of = format!("ip daddr {} tcp dport {DIRECTORY_PORTS} drop", P::DIRECTORY);
        table(NO_DIRECTORY, &of);
    }

    /// At the office again, and SSSD has noticed.
    pub(crate) fn comes_back(&self) {
        nft(&format!("delete table inet {NO_DIRECTORY}"));
        self.is_told("USR2", "Going online");
    }

    /// Sends SSSD a signal, and waits until its back end has taken it.
    fn is_told(&self, signal: &str, answer: &str) {
        let before = self.sssd.count(answer);
        self.sssd.signal(signal);
        self.sssd.wait_for_count(answer, before + 1);
    }

    /// Nobody listens where the proxy was.
    pub(crate) fn stops_proxy(&mut self) {
        self.proxy.process.terminate();
    }

    pub(crate) fn starts_proxy(&mut self) {
        let dir = self.dir.path().join(format!("proxy-{PORT}"));
        self.proxy = KdcProxy::gateway(&dir, PORT, &gateway(PORT, &self.office.routes()));
    }

    /// What is sent to the proxy is lost, also on the connections that it has.
    pub(crate) fn silences_proxy(&self) {
        table(NO_PROXY, &format!("tcp dport {PORT} drop"));
    }

    /// Connections to this server are refused.
    pub(crate) fn loses(&self, server: Ipv4Addr) {
        table(NO_SERVER, &format!("ip daddr {server} reject"));
    }

    pub(crate) fn finds(&self) {
        nft(&format!("delete table inet {NO_SERVER}"));
    }

    pub(crate) fn hears_proxy(&self) {
        nft(&format!("delete table inet {NO_PROXY}"));
    }
}

impl Says {
    fn of(login: &Outcome) -> Self {
        if !login.success {
            Self::Refused
        } else if by_the_cache(login) {
            Self::Cached
        } else {
            Self::Online
        }
    }
}

impl Login {
    /// Fails the test unless this is a row of the table: what the login said, whether there is a ticket, and how long it took at the
    /// most.
    #[track_caller]
    pub(crate) fn is(&self, says: Says, ticket: bool, limit: Duration) {
        assert_eq!((self.says, self.ticket), (says, ticket), "{self:?}");
        assert!(self.took < limit, "{self:?}");
        assert!(self.children <= 5, "{self:?}");
    }
}

/// This variable, as the document for administrators has it.
fn documented((name, value): (&'static str, &str)) -> (&'static str, String) {
    let document = include_str!("../../../packaging/doc/krb5.conf.md");
    assert!(document.contains(&format!("`{name}={value}`")), "{name}");
    (name, value.to_owned())
}

/// The PAM service of a machine that leaves everything to SSSD.
pub(crate) fn pam_sss() -> String {
    let module = sssd::pam_sss();
    let module = module.display();
    let line = |kind| format!("{kind} required {module}\n");
    ["auth", "account", "session"].map(line).concat()
}

fn sssd_conf<P: Provider>(office: &P) -> String {
    format!(
        "[sssd]\nservices = pam\ndomains = {name}\n[pam]\npam_verbosity = 2\n[domain/{name}]\n{own}\
         cache_credentials = true\nkrb5_use_kdcinfo = false\n\
         krb5_ccname_template = FILE:{CACHES}/%u\n",
        name = P::NAME,
        own = office.sssd_conf()
    )
}

fn table(name: &str, rule: &str) {
    let chain = format!("chain input {{ type filter hook input priority 0;\n {rule}\n }}");
    nft(&format!("table inet {name} {{\n {chain}\n}}"));
}

fn nft(lines: &str) {
    let mut command = Command::new("nft");
    let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn();
    let child = child.as_mut().expect("tests/run installs it");
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{lines}").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{lines}");
}

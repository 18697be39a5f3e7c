//! Where SSSD has its users from: LDAP beside a realm of MIT's, or a domain.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::clients::machine::USER_ID;
use crate::office::HOST;
use crate::servers::domain::{self, Controller};
use crate::support::directory::{Directory, SUFFIX};
use crate::support::process::PATIENCE;
use crate::support::proxy::Route;
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::table::Software;

/// The office's servers.
pub(crate) trait Provider {
    /// As SSSD calls it.
    const NAME: &'static str;
    const REALM: &'static str;
    /// Of `user`.
    const PASSWORD: &'static str;
    /// Where identities are asked for.
    const DIRECTORY: Ipv4Addr;
    /// What else of the machine's names is to be known.
    const HOSTS: &'static str;

    /// Starts them, with their files in `dir`.
    fn start(dir: &Path) -> Self;

    /// What else the laptop's krb5.conf says.
    const KRB5_CONF: &'static str = "";

    /// Where the proxy sends the requests of its realms.
    fn routes(&self) -> Vec<Route> {
        vec![route(Self::REALM, Self::kdc())]
    }

    /// Where the KDC is.
    fn kdc() -> Ipv4Addr;

    /// What sssd.conf says of them.
    fn sssd_conf(&self) -> String;

    /// How many wrong passwords of `user` the KDC has counted since the last right one.
    fn failed_attempts(&self) -> u32;

    fn software() -> Software;

    /// What is to be in the environment of `loopkdc run`.
    fn environment_of_loopkdc(&self) -> Vec<(&'static str, String)> {
        vec![]
    }
}

pub(crate) fn route(realm: &str, server: Ipv4Addr) -> Route {
    Route {
        realm: realm.to_owned(),
        kdc: (server, 88).into(),
        kpasswd: (server, 464).into(),
    }
}

/// `id_provider = ldap`, `auth_provider = krb5`.
pub(crate) struct Ldap {
    pub(crate) realm: Realm,
    _directory: Directory,
}

impl Ldap {
    /// With this preauthentication offered.
    pub(crate) fn with(dir: &Path, preauth: Preauth) -> Self {
        let directory = Directory::with_user(USER_ID, (Self::DIRECTORY, 389).into());
        let realm = Realm::start(dir, Self::REALM, HOST, preauth);
        Ldap {
            realm,
            _directory: directory,
        }
    }
}

impl Provider for Ldap {
    const NAME: &'static str = "ldap";
    const REALM: &'static str = "EXAMPLE.COM";
    const PASSWORD: &'static str = PASSWORD;
    const DIRECTORY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 89);
    const HOSTS: &'static str = "";

    fn start(dir: &Path) -> Self {
        Ldap::with(dir, Preauth::Spake)
    }

    fn kdc() -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 0, HOST)
    }

    fn sssd_conf(&self) -> String {
        let directory = Self::DIRECTORY;
        format!(
            "id_provider = ldap\nauth_provider = krb5\nldap_uri = ldap://{directory}\n\
             ldap_search_base = {SUFFIX}\nkrb5_realm = {realm}\nkrb5_server = 127.0.0.1\n",
            realm = Self::REALM
        )
    }

    fn failed_attempts(&self) -> u32 {
        self.realm.failed_attempts("user")
    }

    fn software() -> Software {
        Software::openldap()
    }
}

/// `id_provider = ad`, `auth_provider = ad`.
pub(crate) struct Ad {
    controller: Controller,
    /// The machine's own.
    keytab: PathBuf,
}

impl Provider for Ad {
    const NAME: &'static str = "ad";
    const REALM: &'static str = domain::REALM;
    const PASSWORD: &'static str = domain::PASSWORD;
    const DIRECTORY: Ipv4Addr = domain::ADDRESS;
    const HOSTS: &'static str = "127.0.0.90 dc.ad.example dc\n127.0.0.1 pc1.ad.example pc1\n";

    fn start(dir: &Path) -> Self {
        let controller = Controller::start(dir, "kdc ldap");
        let keytab = controller.keytab("pc1$");
        listens((Self::DIRECTORY, 389).into());
        Ad { controller, keytab }
    }

    fn kdc() -> Ipv4Addr {
        domain::ADDRESS
    }

    fn sssd_conf(&self) -> String {
        let keytab = self.keytab.display();
        format!(
            "id_provider = ad\nauth_provider = ad\naccess_provider = permit\n\
             ad_domain = ad.example\nad_server = dc.ad.example\nad_hostname = pc1.ad.example\n\
             ad_enable_gc = false\ndyndns_update = false\nkrb5_realm = {realm}\n\
             krb5_keytab = {keytab}\nldap_krb5_keytab = {keytab}\nldap_sasl_authid = PC1$\n",
            realm = Self::REALM
        )
    }

    fn failed_attempts(&self) -> u32 {
        self.controller.failed_attempts("user")
    }

    fn software() -> Software {
        domain::software()
    }
}

/// Waits until somebody listens there: Samba is ready before all its services are.
fn listens(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < PATIENCE, "nobody listens at {address}");
        thread::yield_now();
    }
}

//! Replies after which SSSD's krb5_child says that no KDC can be reached. SSSD then begins the login again, without end, as long as it
//! believes that the tunnel works.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::laptop::{Laptop, Says, SetUp, pam_sss};
use super::provider::{Ad, Ldap, Provider, route};
use crate::recorded::isolated;
use crate::servers::heimdal::{self, Servers};
use crate::support::clock::Clock;
use crate::support::netns;
use crate::support::proxy::Route;
use crate::support::realm::{PASSWORD, SERVICE};
use crate::table::Software;

/// SSSD's own limit for one try (`krb5_auth_timeout`).
const SOON: Duration = Duration::from_secs(6);
/// After so long SSSD may try the realm again.
const SHUT: Duration = Duration::from_secs(61);

/// For the program it is so long after the start, when it notices that.
fn time_passes<P: Provider>(laptop: &Laptop<P>, clock: &Clock, since_start: Duration) {
    clock.set(&format!("+{}", since_start.as_secs()));
    laptop.changes_network();
    laptop.says_reachable(true);
}

/// [`Ldap`] with a KDC whose clock may be off. If `ARMORED`, the machine's own ticket armors logins (RFC 6113 5.4.1.1); or else libkrb5
/// believes its own clock alone (krb5.conf(5), kdc_timesync).
struct Skewed<const ARMORED: bool> {
    ldap: Ldap,
    keytab: PathBuf,
    clock_of_kdc: Clock,
    /// Set forth, it ends what the program waits for.
    clock_of_loopkdc: Clock,
}

impl<const ARMORED: bool> Provider for Skewed<ARMORED> {
    const NAME: &'static str = "skewed";
    const REALM: &'static str = Ldap::REALM;
    const PASSWORD: &'static str = Ldap::PASSWORD;
    const DIRECTORY: Ipv4Addr = Ldap::DIRECTORY;
    const HOSTS: &'static str = Ldap::HOSTS;
    const KRB5_CONF: &'static str = if ARMORED {
        ""
    } else {
        "[libdefaults]\n kdc_timesync = 0\n"
    };

    fn start(dir: &Path) -> Self {
        let mut ldap = Ldap::start(dir);
        let [clock_of_kdc, clock_of_loopkdc] =
            ["kdc", "loopkdc"].map(|of| Clock::new(&dir.join(of)));
        let keytab = dir.join("keytab");
        ldap.realm
            .admin(&format!("ktadd -k {} {SERVICE}\n", keytab.display()));
        ldap.realm.goes_by(&clock_of_kdc);
        Skewed {
            ldap,
            keytab,
            clock_of_kdc,
            clock_of_loopkdc,
        }
    }

    fn kdc() -> Ipv4Addr {
        Ldap::kdc()
    }

    fn sssd_conf(&self) -> String {
        let keytab = self.keytab.display();
        let armored = format!(
            "krb5_use_fast = demand\nkrb5_fast_principal = {SERVICE}\nkrb5_keytab = {keytab}\n"
        );
        self.ldap.sssd_conf() + if ARMORED { &armored } else { "" }
    }

    fn failed_attempts(&self) -> u32 {
        self.ldap.failed_attempts()
    }

    fn software() -> Software {
        Ldap::software()
    }

    fn environment_of_loopkdc(&self) -> Vec<(&'static str, String)> {
        self.clock_of_loopkdc.environment().to_vec()
    }
}

/// The armor's ticket was made by a clock that was right. One test for each error that libkrb5 has of it: the authenticator's time is
/// another one than the KDC's (KRB_AP_ERR_SKEW, 37), the ticket is over (KRB_AP_ERR_TKT_EXPIRED, 32), or not valid yet
/// (KRB_AP_ERR_TKT_NYV, 33).
fn clock_is_off(by: &str, is_away: bool) {
    let laptop = Laptop::<Skewed<true>>::open(&pam_sss(), SetUp::ByHand);
    let (password, office) = (PASSWORD, &laptop.office);
    laptop.says_reachable(true);
    laptop.logs_in(password).is(Says::Online, true, SOON);
    if is_away {
        laptop.leaves();
        laptop.logs_in(password).is(Says::Online, true, SOON);
    }
    office.clock_of_kdc.set(by);
    laptop.logs_in(password).is(Says::Cached, false, SOON);
    laptop.logs_in(password).is(Says::Cached, false, SOON);
    office.clock_of_kdc.set("+0");
    time_passes(&laptop, &office.clock_of_loopkdc, SHUT);
    laptop.logs_in(password).is(Says::Online, true, SOON);
    assert_eq!(office.failed_attempts(), 0);
}

#[test]
fn the_clocks_differ() {
    isolated(|| clock_is_off("+1h", true));
}

#[test]
fn the_clocks_differ_at_the_office() {
    isolated(|| clock_is_off("+1h", false));
}

#[test]
fn the_armor_is_over() {
    isolated(|| clock_is_off("+3d", true));
}

#[test]
fn the_armor_is_of_tomorrow() {
    isolated(|| clock_is_off("-1d", true));
}

/// No error of the KDC's says so: libkrb5 itself refuses the ticket. What ends that is how many requests come (the program's limit is
/// of 60, and a login has two or three).
#[test]
fn the_clocks_differ_and_the_kdc_is_content() {
    isolated(|| {
        let laptop = Laptop::<Skewed<false>>::open(&pam_sss(), SetUp::ByHand);
        laptop.says_reachable(true);
        laptop.logs_in(PASSWORD).is(Says::Online, true, SOON);
        laptop.leaves();
        laptop.office.clock_of_kdc.set("+1h");
        let login = laptop.logs_in(PASSWORD);
        assert_eq!((login.says, login.ticket), (Says::Cached, false));
        assert!(login.children <= 60, "{login:?}");
        laptop.logs_in(PASSWORD).is(Says::Cached, false, SOON);
    });
}

/// [`Ad`], and a user whom its KDC refers to the realm that knows him (RFC 6806 7), which is one of the configuration if `NAMED`.
struct Forest<const NAMED: bool> {
    ad: Ad,
    _of_user: Servers,
    clock_of_loopkdc: Clock,
}

impl<const NAMED: bool> Provider for Forest<NAMED> {
    const NAME: &'static str = "forest";
    const REALM: &'static str = Ad::REALM;
    const PASSWORD: &'static str = PASSWORD;
    const DIRECTORY: Ipv4Addr = Ad::DIRECTORY;
    const HOSTS: &'static str = Ad::HOSTS;
    const KRB5_CONF: &'static str = if NAMED {
        ""
    } else {
        "[realms]\n HEIMDAL.EXAMPLE = {\n kdc = 127.0.0.91\n primary_kdc = 127.0.0.91\n }\n"
    };

    fn start(dir: &Path) -> Self {
        Forest {
            ad: Ad::start(dir),
            _of_user: Servers::start(dir),
            clock_of_loopkdc: Clock::new(&dir.join("loopkdc")),
        }
    }

    fn routes(&self) -> Vec<Route> {
        let of_user = NAMED.then(|| route(heimdal::REALM, heimdal::ADDRESS));
        self.ad.routes().into_iter().chain(of_user).collect()
    }

    fn kdc() -> Ipv4Addr {
        Ad::kdc()
    }

    fn sssd_conf(&self) -> String {
        self.ad.sssd_conf() + "ldap_user_principal = mail\nkrb5_validate = false\n"
    }

    fn failed_attempts(&self) -> u32 {
        self.ad.failed_attempts()
    }

    fn software() -> Software {
        Ad::software()
    }

    fn environment_of_loopkdc(&self) -> Vec<(&'static str, String)> {
        self.clock_of_loopkdc.environment().to_vec()
    }
}

#[test]
fn the_users_realm_is_down() {
    isolated(|| {
        let laptop = Laptop::<Forest<true>>::open(&pam_sss(), SetUp::ByHand);
        laptop.says_reachable(true);
        laptop.logs_in(PASSWORD).is(Says::Online, true, SOON);
        laptop.leaves();
        laptop.logs_in(PASSWORD).is(Says::Online, true, SOON);
        laptop.loses(heimdal::ADDRESS);
        users_realm_is_lost(&laptop, SHUT);
    });
}

#[test]
fn the_users_realm_is_unknown() {
    // Here a client goes past the program, which can't be compared.
    netns::isolated(|| {
        let laptop = Laptop::<Forest<false>>::open(&pam_sss(), SetUp::ByHand);
        laptop.says_reachable(true);
        laptop.logs_in(PASSWORD).is(Says::Online, true, SOON);
        laptop.leaves();
        laptop.loses(heimdal::ADDRESS);
        // At the office the program was told of that realm already.
        time_passes(&laptop, &laptop.office.clock_of_loopkdc, SHUT);
        users_realm_is_lost(&laptop, 2 * SHUT);
    });
}

/// It can't be reached now, and is found again before `back`.
fn users_realm_is_lost<const NAMED: bool>(laptop: &Laptop<Forest<NAMED>>, back: Duration) {
    laptop.logs_in(PASSWORD).is(Says::Cached, false, SOON);
    laptop.logs_in(PASSWORD).is(Says::Cached, false, SOON);
    laptop.finds();
    time_passes(laptop, &laptop.office.clock_of_loopkdc, back);
    laptop.logs_in(PASSWORD).is(Says::Online, true, SOON);
    assert_eq!(laptop.office.failed_attempts(), 0);
}

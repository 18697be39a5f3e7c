//! A path so slow that SSSD kills its krb5_child before that is done, with the password on its way. If SSSD then begins the login
//! again, the KDC counts the same wrong password once more.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::laptop::{Laptop, Login, Says, SetUp, pam_sss};
use super::provider::{Ldap, Provider};
use crate::recorded::isolated;
use crate::support::proxy::Route;
use crate::support::realm::{PASSWORD, Preauth};
use crate::support::relay::Relay;
use crate::table::Software;

/// SSSD's limit for one try (`krb5_auth_timeout`) is half of it.
const TWO_TRIES: Duration = Duration::from_secs(12);

/// [`Ldap`], and a KDC whose replies come late. By SPAKE a login takes three exchanges, and the password goes with the third; by the
/// encrypted timestamp two, and with the second.
struct Far<const SPAKE: bool> {
    ldap: Ldap,
    path: Relay,
}

impl<const SPAKE: bool> Provider for Far<SPAKE> {
    const NAME: &'static str = "far";
    const REALM: &'static str = Ldap::REALM;
    const PASSWORD: &'static str = Ldap::PASSWORD;
    const DIRECTORY: Ipv4Addr = Ldap::DIRECTORY;
    const HOSTS: &'static str = Ldap::HOSTS;

    fn start(dir: &Path) -> Self {
        let preauth = if SPAKE {
            Preauth::Spake
        } else {
            Preauth::Timestamp
        };
        let ldap = Ldap::with(dir, preauth);
        let path = Relay::start(ldap.realm.kdc_address(), Duration::ZERO);
        Far { ldap, path }
    }

    fn routes(&self) -> Vec<Route> {
        let kdc = self.path.address;
        let far = |route| Route { kdc, ..route };
        self.ldap.routes().into_iter().map(far).collect()
    }

    fn kdc() -> Ipv4Addr {
        Ldap::kdc()
    }

    fn sssd_conf(&self) -> String {
        self.ldap.sssd_conf()
    }

    fn failed_attempts(&self) -> u32 {
        self.ldap.failed_attempts()
    }

    fn software() -> Software {
        Ldap::software()
    }
}

/// A login away from the office, each reply so late; and how many wrong passwords the KDC has counted then.
fn logs_in<const SPAKE: bool>(password: &str, delay: u64) -> (Login, u32) {
    let laptop = Laptop::<Far<SPAKE>>::open(&pam_sss(), SetUp::ByHand);
    laptop.says_reachable(true);
    let near = laptop.logs_in(PASSWORD);
    near.is(Says::Online, true, TWO_TRIES);
    laptop.leaves();
    laptop.office.path.delays(Duration::from_secs(delay));
    let login = laptop.logs_in(password);
    let counted = laptop.office.failed_attempts();
    assert!(login.took < TWO_TRIES, "{login:?}, counted {counted}");
    assert!(login.children <= 5, "{login:?}, counted {counted}");
    (login, counted)
}

fn wrong_is_counted_once<const SPAKE: bool>(delay: u64) {
    let (login, counted) = logs_in::<SPAKE>("battery staple", delay);
    assert_eq!((login.says, counted), (Says::Refused, 1), "{login:?}");
}

/// With a ticket or without.
fn right_is_let_in<const SPAKE: bool>(delay: u64) {
    let (login, counted) = logs_in::<SPAKE>(PASSWORD, delay);
    assert_eq!(counted, 0);
    assert_ne!(login.says, Says::Refused, "{login:?}");
}

#[test]
fn three_exchanges_of_two_seconds_with_a_wrong_password() {
    isolated(|| wrong_is_counted_once::<true>(2));
}

#[test]
fn three_exchanges_of_two_seconds() {
    isolated(|| right_is_let_in::<true>(2));
}

#[test]
fn two_exchanges_of_four_seconds_with_a_wrong_password() {
    isolated(|| wrong_is_counted_once::<false>(4));
}

#[test]
fn two_exchanges_of_four_seconds() {
    isolated(|| right_is_let_in::<false>(4));
}

//! The table of logins: for each case what the login says, and whether the user has a ticket then.

use std::time::Duration;

use super::laptop::{Laptop, Says, SetUp, pam_sss};
use super::provider::{Ad, Ldap, Provider};
use crate::recorded::isolated;
use crate::table::{About, Software, comes_through};

const WRONG: &str = "battery staple";
/// Nothing was waited for.
const AT_ONCE: Duration = Duration::from_secs(3);
/// The deadline of an exchange, which is shorter than SSSD's.
const DEADLINE: Duration = Duration::from_secs(12);

/// What SSSD does by itself.
fn without_the_set_up<P: Provider>() {
    let laptop = Laptop::<P>::open(&pam_sss(), SetUp::None);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.leaves();
    laptop.logs_in(P::PASSWORD).is(Says::Cached, false, AT_ONCE);
    laptop.logs_in(WRONG).is(Says::Refused, false, AT_ONCE);
    assert_eq!(laptop.office.failed_attempts(), 0);
}

/// At the office, away, with a wrong password, and at the office again.
fn away<P: Provider>() {
    let laptop = Laptop::<P>::open(&pam_sss(), SetUp::ByHand);
    laptop.says_reachable(true);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.leaves();
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.logs_in(WRONG).is(Says::Refused, false, AT_ONCE);
    assert_eq!(laptop.office.failed_attempts(), 1);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.comes_back();
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    let what = format!(
        "SSSD with `id_provider = {}`: login with a ticket at the office and away from it",
        P::NAME
    );
    shown::<P>(&what);
}

/// The laptop wakes up elsewhere, and nobody has told SSSD.
fn unnoticed<P: Provider>() {
    let laptop = Laptop::<P>::open(&pam_sss(), SetUp::ByHand);
    laptop.says_reachable(true);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.leaves_unnoticed();
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, DEADLINE);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, DEADLINE);
}

/// The proxy is gone from one login to the next, and comes back.
fn dead<P: Provider>() {
    let mut laptop = Laptop::<P>::open(&pam_sss(), SetUp::ByHand);
    laptop.says_reachable(true);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.leaves();
    laptop.stops_proxy();
    laptop.logs_in(P::PASSWORD).is(Says::Cached, false, AT_ONCE);
    laptop.says_reachable(false);
    laptop.logs_in(P::PASSWORD).is(Says::Cached, false, AT_ONCE);
    laptop.logs_in(WRONG).is(Says::Refused, false, AT_ONCE);
    laptop.starts_proxy();
    laptop.changes_network();
    laptop.says_reachable(true);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    assert_eq!(laptop.office.failed_attempts(), 0);
    let what = format!(
        "SSSD with `id_provider = {}`: offline with the tunnel dead, and online when it is back",
        P::NAME
    );
    shown::<P>(&what);
}

/// The path to the proxy swallows everything, in the middle of a login.
fn silent<P: Provider>() {
    let laptop = Laptop::<P>::open(&pam_sss(), SetUp::ByHand);
    laptop.says_reachable(true);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    laptop.leaves();
    laptop.silences_proxy();
    laptop
        .logs_in(P::PASSWORD)
        .is(Says::Cached, false, DEADLINE);
    laptop.says_reachable(false);
    laptop.logs_in(P::PASSWORD).is(Says::Cached, false, AT_ONCE);
    laptop.hears_proxy();
    laptop.changes_network();
    laptop.says_reachable(true);
    laptop.logs_in(P::PASSWORD).is(Says::Online, true, AT_ONCE);
    let what = format!(
        "SSSD with `id_provider = {}`: a tunnel that falls silent costs one login its ticket",
        P::NAME
    );
    shown::<P>(&what);
}

fn shown<P: Provider>(what: &str) {
    let with: [Software; 2] = [super::sssd::software(), P::software()];
    comes_through(About::Clients, what, &with);
}

/// Makes tests of each function: with either provider.
macro_rules! either_provider {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn ldap() {
                isolated(|| {
                    super::$name::<Ldap>();
                });
            }

            #[test]
            fn ad() {
                isolated(|| {
                    super::$name::<Ad>();
                });
            }
        }
    )*};
}

either_provider! { without_the_set_up away unnoticed dead silent }

//! Two PAM modules, one after the other: SSSD's lets the user in, and pam_krb5 gets the ticket that SSSD has not got.

use std::time::Duration;

use super::laptop::{Laptop, Says, SetUp};
use super::provider::{Ldap, Provider};
use super::sssd;
use crate::clients::machine;
use crate::recorded::isolated;
use crate::support::realm::PASSWORD;
use crate::table::{About, Software, comes_through};

const AT_ONCE: Duration = Duration::from_secs(3);

/// The lines of packaging/doc/recipes.md, with the modules where tests/run unpacks them.
fn recipe() -> String {
    let document = include_str!("../../../packaging/doc/recipes.md");
    let (_, lines) = document.split_once("```pam\n").unwrap();
    let (lines, _) = lines.split_once("```").unwrap();
    let [sss, krb5] = [sssd::pam_sss(), machine::pam_krb5()].map(|path| path.display().to_string());
    let lines = lines.replace("pam_sss.so", &sss);
    lines.replace("pam_krb5.so", &krb5)
}

#[test]
fn the_second_brings_the_ticket() {
    isolated(|| {
        let mut laptop = Laptop::<Ldap>::open(&recipe(), SetUp::None);
        laptop.logs_in(PASSWORD).is(Says::Online, true, AT_ONCE);
        laptop
            .logs_in("battery staple")
            .is(Says::Refused, false, AT_ONCE);
        assert_eq!(laptop.office.failed_attempts(), 1);
        laptop.logs_in(PASSWORD).is(Says::Online, true, AT_ONCE);
        laptop.leaves();
        laptop.logs_in(PASSWORD).is(Says::Cached, true, AT_ONCE);
        laptop
            .logs_in("battery staple")
            .is(Says::Refused, false, AT_ONCE);
        assert_eq!(
            laptop.office.failed_attempts(),
            0,
            "the cache has refused it"
        );
        laptop.stops_proxy();
        laptop.logs_in(PASSWORD).is(Says::Cached, false, AT_ONCE);
        let with = [
            sssd::software(),
            Software::unpacked("libpam-krb5", "login", "libpam-krb5"),
            Ldap::software(),
        ];
        let what = "PAM: SSSD lets the user in away from the office, and pam_krb5 gets a ticket";
        comes_through(About::Clients, what, &with);
    });
}

//! Logins by SSSD on a Debian at work, by the units and the drop-ins that `loopkdc krb5-conf --install` has systemd start.

use std::net::{Ipv4Addr, SocketAddr};

use super::booted::{Booted, Installed};
use super::tickets::TYPED;
use crate::support::directory::Directory;
use crate::support::netns::isolated;

/// Where SSSD has its users from.
const DIRECTORY: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 89), 389);
const USER_ID: u32 = 20_000;
const SSSD: &str = "
cat >/etc/sssd/sssd.conf <<'END'
[sssd]
services = pam
domains = corp
[pam]
pam_verbosity = 2
[domain/corp]
debug_level = 7
id_provider = ldap
auth_provider = krb5
cache_credentials = true
ldap_uri = ldap://127.0.0.89
ldap_search_base = dc=example
krb5_realm = EXAMPLE.COM
krb5_server = 127.0.0.1
krb5_use_kdcinfo = false
krb5_ccname_template = FILE:/tmp/krb5cc_%U
END
chmod 600 /etc/sssd/sssd.conf
printf 'auth required pam_sss.so\\naccount required pam_sss.so\\n' >/etc/pam.d/desk
systemctl start sssd
";
/// What SSSD reads besides.
const MAY_TRY: &str = "test -e /run/loopkdc-sssd/krb5.conf";
/// SSSD asks a KDC by a process of its own each time.
const CHILDREN: &str =
    "cat /var/log/sssd/krb5_child.log* 2>/dev/null | grep -c 'krb5_child started' || true";

/// What a login says, and whether there is a ticket then.
fn logs_in(booted: &Booted) -> (bool, bool) {
    let children = || booted.run(CHILDREN).trim().parse::<usize>().unwrap();
    let before = children();
    let login = format!(
        "rm -f /tmp/krb5cc_*; echo '{TYPED}' | timeout 30 pamtester desk user authenticate acct_mgmt"
    );
    let said = booted.run(&login);
    let is_cached = said.contains("Authenticated with cached credentials");
    let klist = booted.output(&format!("klist -s -c /tmp/krb5cc_{USER_ID}"));
    let children = children() - before;
    eprintln!(
        "cached {is_cached}, ticket {}, {children} times krb5_child",
        klist.status.success()
    );
    assert!(children <= 5, "{children} times krb5_child");
    (is_cached, klist.status.success())
}

/// What `doctor` says of such a login.
fn is_told(booted: &Booted, of_a_login: &str) {
    let told = booted.output("loopkdc doctor").stdout;
    let told = String::from_utf8_lossy(&told);
    // It breaks its lines.
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let of_a_login = format!("a login by SSSD (corp) {of_a_login}");
    assert!(told.contains(&of_a_login), "{told}");
}

#[test]
fn a_login_by_sssd_brings_a_ticket_away_from_the_office() {
    const WITH_A_TICKET: (bool, bool) = (false, true);
    const CACHED: (bool, bool) = (true, false);
    isolated(|| {
        let directory = Directory::with_user(USER_ID, SocketAddr::from(DIRECTORY));
        let mut installed = Installed::new();
        let Installed { booted, office, .. } = &mut installed;
        booted.run(SSSD);
        let away = "systemctl kill --kill-who=main --signal=USR1 sssd";
        booted.run("loopkdc krb5-conf --install --no-sssd");
        booted.run("systemctl start loopkdc");
        assert_eq!(logs_in(booted), WITH_A_TICKET);
        drop(directory);
        booted.run(away);
        assert_eq!(logs_in(booted), CACHED);
        is_told(booted, "away from the office brings no ticket");

        booted.run("loopkdc krb5-conf --install; systemctl restart loopkdc sssd");
        booted.wait_for(MAY_TRY);
        booted.run(away);
        assert_eq!(logs_in(booted), WITH_A_TICKET);
        is_told(booted, "brings a ticket, away from the office, too");

        office.stops_proxy();
        assert_eq!(logs_in(booted), CACHED);
        booted.wait_for(&format!("! {MAY_TRY}"));
        is_told(
            booted,
            "goes by the cached password while EXAMPLE.COM can't be reached",
        );
        assert_eq!(logs_in(booted), CACHED);
    });
}

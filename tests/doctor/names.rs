//! Names, and what DNS says of realms.

use std::time::Duration;

use loopkdc::relay::finding::{Figure, Layer};

use crate::scene::Scene;
use crate::support::nameserver::{NameServer, Record};
use crate::support::netns::isolated;

const LONG: u32 = 3600;

fn by_name() -> Scene {
    Scene::configured("[realms.\"EXAMPLE.COM\"]\nproxies = [\"https://kdcproxy.example.com\"]\n")
}

fn by_dns(lines: &str) -> Scene {
    Scene::configured(&format!(
        "[realms.\"EXAMPLE.COM\"]\nproxies = \"discover\"\n{lines}\n"
    ))
}

#[test]
fn a_name_that_does_not_exist() {
    isolated(|| {
        let _names = NameServer::start();
        let found = by_name().with_daemon().doctor_here(&[]);
        found.is_at_fault(
            Layer::Names,
            "Name or service not known",
            "getent hosts kdcproxy.example.com",
        );
        found.finding("tcp", "skipped", "a fault before it");
    });
}

#[test]
fn a_name_server_that_is_silent() {
    isolated(|| {
        let names = NameServer::start();
        names.is_silent_about("");
        let found = by_name().with_daemon().doctor_here(&[]);
        found.says(
            Layer::Names,
            "fault",
            "no name server answers in time",
            "/etc/resolv.conf",
        );
        assert!(found.took < Duration::from_secs(14), "{found:#?}");
    });
}

#[test]
fn a_name_and_its_addresses() {
    isolated(|| {
        let names = NameServer::start();
        let addresses = [
            Record::A([127, 0, 0, 2].into()),
            Record::A([127, 0, 0, 3].into()),
        ];
        names.says("kdcproxy.example.com", LONG, &addresses);
        let _listens = std::net::TcpListener::bind("127.0.0.3:443").unwrap();
        let found = by_name().doctor_here(&[]);
        found.is_well("names", "kdcproxy.example.com is 127.0.0.");
        // One of them is dead, and the daemon goes on.
        found.says(
            Layer::Tcp,
            "warning",
            "127.0.0.3:443 takes connections; 127.0.0.2:443: cannot connect",
            "ip route",
        );
    });
}

#[test]
fn a_realm_of_which_dns_names_no_proxy() {
    isolated(|| {
        let _names = NameServer::start();
        let found = by_dns("").with_daemon().doctor_here(&[]);
        found.is_at_fault(Layer::Names, "DNS names no KDC proxy", "proxies = [");
        found.finding("estimate", "skipped", "kinit fails");
    });
}

#[test]
fn name_servers_that_are_silent_about_a_realm() {
    isolated(|| {
        let names = NameServer::start();
        names.is_silent_about("");
        let found = by_dns("").with_daemon().doctor_here(&[]);
        found.says(
            Layer::Names,
            "fault",
            "did not answer in time",
            "/etc/resolv.conf",
        );
    });
}

#[test]
fn what_dns_names_and_nobody_is_asked_at() {
    isolated(|| {
        let names = NameServer::start();
        let url = |url: &str| Record::Uri(1, format!("krb5srv:m:kkdcp:{url}"));
        let proxies = [
            url("https://kdcproxy.example.com/KdcProxy"),
            url("http://plain.example.com/KdcProxy"),
        ];
        names.says("_kerberos.EXAMPLE.COM", 600, &proxies);
        names.says(
            "kdcproxy.example.com",
            LONG,
            &[Record::A([127, 0, 0, 2].into())],
        );
        let found = by_dns("").with_daemon().doctor_here(&[]);
        found.is_well("names", "DNS names https://kdcproxy.example.com");
        assert_eq!(
            found.finding("names", "ok", "DNS names").figure,
            Some(Figure::Seconds(60))
        );
        found.says(
            Layer::Names,
            "warning",
            "DNS names http://plain.example.com",
            "an https:// URL",
        );
        found.is_at_fault(Layer::Names, "is refused: ", "discover-networks");
    });
}

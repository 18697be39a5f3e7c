//! Who is where: a laptop at home, a router, two offices, and a VPN into one of them.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::network::{Host, Network, Plug};
use crate::support::nameserver::Record;
use crate::support::netns::bind_over;

/// The laptop's resolver asks here.
pub(crate) const NAME_SERVER: &str = "203.0.113.53";
/// Where the office's KDC is asked directly, by those who are there.
pub(crate) const INSIDE: [u8; 4] = [172, 16, 0, 88];
/// The portal of the laptop's network, if it has one.
pub(crate) const PORTAL: &str = "10.1.0.1:8443";

/// The office and the branch.
pub(crate) const OFFICE: Site = Site {
    name: "kdcproxy.example.com",
    address: "192.0.2.10",
    address6: "2001:db8:9::10",
};
pub(crate) const BRANCH: Site = Site {
    name: "kdcproxy2.example.com",
    address: "198.51.100.10",
    address6: "2001:db8:8::10",
};

/// A proxy's name, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    pub(crate) name: &'static str,
    address: &'static str,
    address6: &'static str,
}

impl Site {
    /// Where its proxy listens.
    pub(crate) fn listen(self) -> [SocketAddr; 2] {
        let addresses = [self.address, self.address6];
        addresses.map(|address| SocketAddr::new(address.parse::<IpAddr>().unwrap(), 443))
    }

    /// Its addresses, as its name may stand for them.
    pub(crate) fn only_ipv4(self) -> Vec<Record> {
        vec![Record::A(self.address.parse().unwrap())]
    }

    pub(crate) fn only_ipv6(self) -> Vec<Record> {
        vec![Record::Aaaa(self.address6.parse().unwrap())]
    }

    pub(crate) fn both_families(self) -> Vec<Record> {
        [self.only_ipv6(), self.only_ipv4()].concat()
    }
}

/// The hosts of a scene, cabled.
pub(crate) struct Hosts {
    pub(crate) laptop: Host,
    pub(crate) router: Host,
    /// The office and the branch.
    pub(crate) offices: [Host; 2],
    /// The VPN's other end, which passes nothing on until it is told to.
    pub(crate) concentrator: Host,
}

impl Hosts {
    pub(crate) fn new(network: &Network) -> Hosts {
        let names = ["laptop", "router", "office", "branch", "concentrator"];
        let [laptop, router, office, branch, concentrator] = names.map(|name| network.host(name));
        network.link(
            plug(&laptop, "wifi", &["10.1.0.2/24", "2001:db8:1::2/64"]),
            plug(&router, "home", &["10.1.0.1/24", "2001:db8:1::1/64"]),
        );
        laptop.ip("route add default via 10.1.0.1\nroute add default via 2001:db8:1::1");
        network.link(
            plug(&laptop, "vpn", &["10.66.0.2/24"]),
            plug(&concentrator, "clients", &["10.66.0.1/24"]),
        );
        laptop.ip("link set vpn down");
        lay_line(
            network,
            &office,
            &router,
            ["line", "192.0.2", "2001:db8:9:"],
        );
        lay_line(
            network,
            &branch,
            &router,
            ["branch", "198.51.100", "2001:db8:8:"],
        );
        network.link(
            plug(&concentrator, "inside", &["172.16.0.1/24"]),
            plug(&office, "inside", &["172.16.0.88/24"]),
        );
        office.ip("route add 10.66.0.0/24 via 172.16.0.1");
        router.ip(&format!("address add {NAME_SERVER}/32 dev lo"));
        router.forwards();
        furnish(&router);
        Hosts {
            laptop,
            router,
            offices: [office, branch],
            concentrator,
        }
    }
}

/// Lays an office's line, and counts the connections that come to its proxy.
fn lay_line(network: &Network, office: &Host, router: &Host, [line, four, six]: [&str; 3]) {
    let (near, near6) = (format!("{four}.10/24"), format!("{six}:10/64"));
    let (far, far6) = (format!("{four}.1/24"), format!("{six}:1/64"));
    network.link(
        plug(office, "uplink", &[&near, &near6]),
        plug(router, line, &[&far, &far6]),
    );
    office.ip(&format!(
        "route add default via {four}.1\nroute add default via {six}:1"
    ));
    office.nft(
        "table inet watch {\n counter connects { }\n chain input { type filter hook input priority 0;\n\
         tcp dport 443 ct state new counter name connects\n }\n}",
    );
}

/// Makes a place for what the router is to drop.
fn furnish(router: &Host) {
    let jump = |hook: &str| {
        format!("chain {hook} {{ type filter hook {hook} priority 0;\n jump faults\n }}\n")
    };
    let chains = ["input", "forward", "output"].map(jump).concat();
    router.nft(&format!(
        "table inet path {{\n chain faults {{ }}\n{chains}}}"
    ));
}

fn plug<'a>(host: &'a Host, interface: &'a str, addresses: &'a [&'a str]) -> Plug<'a> {
    Plug {
        host,
        interface,
        addresses,
    }
}

/// Points the resolver of all hosts to the name server.
pub(crate) fn resolve(dir: &Path) {
    let file = dir.join("resolv.conf");
    fs::write(&file, format!("nameserver {NAME_SERVER}\n")).unwrap();
    bind_over(&file, Path::new("/etc/resolv.conf"));
}

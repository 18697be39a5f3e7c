//! What can happen to a network, and how it ends.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::scene::Scene;
use crate::topology::NAME_SERVER;

impl Scene {
    /// Lets the router drop what matches one of these rules, until [`Scene::drops_nothing`].
    fn drops(&self, rules: &[&str]) {
        let rule = |rule: &&str| format!("add rule inet path faults {rule} drop\n");
        let rules: String = rules.iter().map(rule).collect();
        self.hosts.router.nft(&rules);
    }

    /// The router passes everything on again.
    pub(crate) fn drops_nothing(&self) {
        self.hosts.router.nft("flush chain inet path faults\n");
    }

    /// The proxies are black-holed.
    pub(crate) fn drops_everything(&self) {
        self.drops(&["tcp dport 443", "tcp sport 443"]);
    }

    /// The laptop's connections are black-holed, and no later ones: as by a router that starts anew, or has too many of them
    /// to remember.
    pub(crate) fn drops_connections(&self) {
        let kept = self
            .hosts
            .laptop
            .says("ss -Htn state established dport = :443");
        let ports = kept.lines().filter_map(|line| {
            let own = line.split_whitespace().nth(2)?;
            Some(own.rsplit_once(':')?.1)
        });
        let ports: Vec<_> = ports.collect();
        assert!(!ports.is_empty(), "a connection is kept");
        let ports = ports.join(",");
        let out = format!("tcp sport {{ {ports} }}");
        let back = format!("tcp dport {{ {ports} }}");
        self.drops(&[&out, &back]);
    }

    /// The name server is black-holed.
    pub(crate) fn drops_dns(&self) {
        self.drops(&["udp dport 53", "tcp dport 53"]);
    }

    /// The proxies' addresses of IPv4 are black-holed.
    pub(crate) fn drops_ipv4(&self) {
        self.drops(&[
            "ip protocol tcp tcp dport 443",
            "ip protocol tcp tcp sport 443",
        ]);
    }

    /// The proxies' addresses of IPv6 are black-holed.
    pub(crate) fn drops_ipv6(&self) {
        self.drops(&[
            "ip6 nexthdr tcp tcp dport 443",
            "ip6 nexthdr tcp tcp sport 443",
        ]);
    }

    /// The office is gone, and nobody says so; the branch is there.
    pub(crate) fn drops_office(&self) {
        self.drops(&["iifname line", "oifname line"]);
    }

    /// Nothing is reached but the router itself and, as with most portals, the name server.
    pub(crate) fn drops_what_leaves_home(&self) {
        let reached = format!("{{ 10.1.0.1, {NAME_SERVER} }}");
        let out = format!("iifname home ip daddr != {reached}");
        let back = format!("oifname home ip saddr != {reached}");
        self.drops(&[&out, &back]);
    }

    /// The laptop's cable is pulled.
    pub(crate) fn pulls_cable(&self) {
        self.hosts.router.ip("link set home down");
    }

    pub(crate) fn puts_cable_back(&self) {
        self.hosts.router.ip("link set home up");
    }

    /// The router answers again: the kernel may take a second for both ends, and drops what is sent meanwhile.
    pub(crate) fn waits_for_carrier(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        let closed = SocketAddr::from(([10, 1, 0, 1], 9));
        let refuses = || {
            let connected = TcpStream::connect_timeout(&closed, Duration::from_secs(5));
            connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        };
        while !self.hosts.laptop.at(refuses) {
            assert!(Instant::now() < until, "the router never answered");
        }
    }

    /// The laptop gets another address of the same network.
    pub(crate) fn changes_address(&self) {
        self.hosts.laptop.ip(
            "address delete 10.1.0.2/24 dev wifi\naddress add 10.1.0.77/24 dev wifi\n\
             route replace default via 10.1.0.1",
        );
    }

    pub(crate) fn loses_route(&self) {
        self.hosts.laptop.ip("route delete default");
    }

    pub(crate) fn gets_route_back(&self) {
        self.hosts.laptop.ip("route add default via 10.1.0.1");
    }

    /// The VPN comes up, and takes what is for this network.
    pub(crate) fn raises_vpn(&self, network: &str) {
        let up = format!("link set vpn up\nroute add {network} via 10.66.0.1");
        self.hosts.laptop.ip(&up);
    }

    pub(crate) fn lowers_vpn(&self) {
        self.hosts.laptop.ip("link set vpn down");
    }

    /// The office's line takes smaller packets than its ends do, and the word about it is dropped (RFC 2923 2.1).
    pub(crate) fn shrinks_mtu(&self) {
        self.hosts.router.ip("link set line mtu 1280");
        self.drops(&["icmp type destination-unreachable icmp code frag-needed"]);
    }

    pub(crate) fn restores_mtu(&self) {
        self.hosts.router.ip("link set line mtu 1500");
        self.drops_nothing();
    }

    /// With the lid closed the laptop hears nothing: not even that its proxy has started anew, and with it the connection
    /// has ended.
    pub(crate) fn closes_lid(&mut self) {
        self.loopkdc.process.signal("STOP");
        self.drops(&["tcp sport 443"]);
        self.kills_proxy(0);
        self.starts_proxy(0);
    }

    pub(crate) fn opens_lid(&self) {
        self.drops_nothing();
        self.loopkdc.process.signal("CONT");
    }
}

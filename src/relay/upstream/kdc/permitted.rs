//! Which addresses a KDC's name may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Where clouds tell a machine its secrets, other than on the link: who names one of these in DNS wants them.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Which addresses a KDC's name may lead to, whenever it is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Permitted {
    /// Any: an administrator wrote the name down.
    #[default]
    Any,
    /// Those of other hosts on a network, and any in these networks. For names found in DNS: who writes a zone must not
    /// lead the gateway to itself, to its link or to its cloud.
    OtherHosts(Vec<IpNet>),
}

impl Permitted {
    /// Why `address` is refused, if it is.
    pub fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let Self::OtherHosts(allowed) = self else {
            return None;
        };
        let address = carried(address);
        let is_allowed = allowed.iter().any(|network| network.contains(&address));
        peculiar(address).filter(|_| !is_allowed)
    }
}

/// The IPv4 address that an IPv6 address only carries: mapped (RFC 4291 2.5.5.2), compatible (2.5.5.1), or behind a NAT64
/// (RFC 6052 2.1). `::` and `::1` are themselves.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => address,
    }
}

/// What an address is other than a host's on a network.
fn peculiar(address: IpAddr) -> Option<&'static str> {
    let (this_host, link_local, broadcast) = match address {
        // All of 0.0.0.0/8 is "this host" (RFC 1122 3.2.1.3).
        IpAddr::V4(v4) => (v4.octets()[0] == 0, v4.is_link_local(), v4.is_broadcast()),
        IpAddr::V6(v6) => (v6.is_unspecified(), v6.is_unicast_link_local(), false),
    };
    [
        (address.is_loopback(), "loopback"),
        (this_host, "unspecified"),
        (link_local, "link-local"),
        (address.is_multicast(), "multicast"),
        (broadcast, "broadcast"),
        (METADATA.contains(&address), "a cloud's metadata service"),
    ]
    .into_iter()
    .find_map(|(is, what)| is.then_some(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(permitted: &Permitted, address: &str) -> Option<&'static str> {
        permitted.refuses(address.parse().unwrap())
    }

    const PECULIAR: [(&str, &str); 23] = [
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("169.254.169.254", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("100.100.100.200", "a cloud's metadata service"),
        ("168.63.129.16", "a cloud's metadata service"),
        ("fd00:ec2::254", "a cloud's metadata service"),
        ("fd20:ce::254", "a cloud's metadata service"),
    ];

    #[test]
    fn what_is_no_other_host_is_refused_and_why() {
        for (address, why) in PECULIAR {
            let other_hosts = Permitted::OtherHosts(Vec::new());
            assert_eq!(refused(&other_hosts, address), Some(why), "{address}");
            assert_eq!(refused(&Permitted::Any, address), None, "{address}");
        }
    }

    #[test]
    fn hosts_are_not_refused() {
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "100.100.100.100",
            "126.255.255.255",
            "128.0.0.1",
            "1.0.0.1",
            "fd00::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b:1::127.0.0.1",
        ] {
            let other_hosts = Permitted::OtherHosts(Vec::new());
            assert_eq!(refused(&other_hosts, address), None, "{address}");
        }
    }

    #[test]
    fn an_allowed_network_is_not_refused_in_whatever_form() {
        let networks = ["127.0.0.2/32", "169.254.0.0/16", "fe80::/64"];
        let networks = networks.map(|network| network.parse().unwrap()).to_vec();
        let permitted = Permitted::OtherHosts(networks);
        for address in [
            "127.0.0.2",
            "::ffff:127.0.0.2",
            "169.254.169.254",
            "fe80::1",
        ] {
            assert_eq!(refused(&permitted, address), None, "{address}");
        }
        for address in ["127.0.0.1", "::1", "fe80:0:0:1::1"] {
            assert!(refused(&permitted, address).is_some(), "{address}");
        }
    }
}

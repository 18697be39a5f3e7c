//! Networks, as the configuration writes them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

/// A network, or an address alone.
///
/// # Errors
/// It is neither, or none that an address is ever in: what is wrong, in words.
pub(in crate::config) fn network(text: &str) -> Result<IpNet, String> {
    let parsed = match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>(),
    };
    let network = parsed.map_err(|_| format!("{text:?} is no network and no address"))?;
    if network != network.trunc() {
        let meant = network.trunc();
        return Err(format!(
            "the network of this address is {meant}: write that, or the address alone"
        ));
    }
    match network {
        // Addresses are compared in the form that they are, IPv4 (RFC 4291 2.5.5.2).
        IpNet::V6(network) if is_mapped(network) => {
            Err("addresses that begin with ::ffff: are IPv4: write them as such".to_owned())
        }
        network => Ok(network),
    }
}

fn is_mapped(network: Ipv6Net) -> bool {
    network.prefix_len() >= 96 && network.addr().to_ipv4_mapped().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text), Ok(read.parse().unwrap()));
        }
    }

    #[test]
    fn what_no_address_is_in_is_refused() {
        for (text, part) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "IPv4"),
            ("::ffff:10.0.0.0/104", "IPv4"),
            ("10.0.0.0/33", "no network"),
            ("proxy.example.com", "no network"),
            ("unix:/run/x", "no network"),
            ("", "no network"),
        ] {
            let error = network(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

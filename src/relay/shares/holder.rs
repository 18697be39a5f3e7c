//! Who holds a share, and what is counted together.

use std::net::{IpAddr, SocketAddr};

/// The networks that one host may have in IPv6: of a link, and what providers give to a home and to a site (RFC 6177).
const IPV6_PREFIXES: [u8; 3] = [64, 56, 48];

/// Who holds a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// All who can't be told apart.
    Unknown,
    /// A client on the network.
    Address(IpAddr),
    /// A connection that is many clients': its other end stands before them.
    Connection(SocketAddr),
    /// A user of this machine, by uid.
    User(u32),
    /// A client that has proved its name, by a number for that.
    Named(u64),
}

/// What is counted together: a holder, or an IPv6 network as far as its prefix goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Group {
    Holder(Holder),
    Network(u8, u128),
}

impl Holder {
    pub(super) fn groups(self) -> impl Iterator<Item = Group> {
        let holder = match self {
            Self::Address(address) => Self::Address(address.to_canonical()),
            other => other,
        };
        let (single, networks) = match holder {
            Self::Address(IpAddr::V6(address)) => (None, Some(address.to_bits())),
            holder => (Some(Group::Holder(holder)), None),
        };
        let network = |prefix, bits: u128| Group::Network(prefix, bits >> (128 - prefix));
        let networks = networks.into_iter();
        let networks =
            networks.flat_map(move |bits| IPV6_PREFIXES.map(|prefix| network(prefix, bits)));
        single.into_iter().chain(networks)
    }
}

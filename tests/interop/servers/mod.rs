//! KDCs of other makers behind the gateway, asked through the program by stock clients.

use std::net::Ipv4Addr;
use std::path::Path;

use crate::office::PORT;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Maker, Route};

mod domain;
mod heimdal;
mod samba;

/// The laptop, and the gateway of a realm whose servers are at one address.
struct Site {
    client: Client,
    _loopkdc: Loopkdc,
    _gateway: KdcProxy,
}

impl Site {
    fn open(dir: &Path, realm: &str, address: Ipv4Addr) -> Site {
        let route = Route {
            realm: realm.to_owned(),
            kdc: (address, 88).into(),
            kpasswd: (address, 464).into(),
        };
        let gateway = KdcProxy::of(Maker::Ours, dir, PORT, &[route]);
        let loopkdc = Loopkdc::start(dir, &[(realm, &gateway)]);
        let mut client = Client::by_drop_in(dir, &[realm]);
        client.also(&format!("[libdefaults]\n default_realm = {realm}\n"));
        Site {
            client,
            _loopkdc: loopkdc,
            _gateway: gateway,
        }
    }
}

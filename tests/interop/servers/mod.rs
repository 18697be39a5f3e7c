//! KDCs of other makers behind the gateway, asked through the program by stock clients.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::office::PORT;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{KdcProxy, Maker, Route};

pub(crate) mod domain;
pub(crate) mod heimdal;
mod samba;

/// The laptop, and for each realm a gateway.
pub(crate) struct Site {
    pub(crate) client: Client,
    _loopkdc: Loopkdc,
    _gateways: Vec<KdcProxy>,
}

impl Site {
    /// Opens with these realms, each of whose servers are at one address. The first is the laptop's own.
    fn open(dir: &Path, realms: &[(&str, Ipv4Addr)]) -> Site {
        let gateway = |(port, (realm, address)): (u16, &(&str, Ipv4Addr))| {
            let route = Route {
                realm: (*realm).to_owned(),
                kdc: (*address, 88).into(),
                kpasswd: (*address, 464).into(),
            };
            KdcProxy::of(Maker::Ours, dir, port, &[route])
        };
        let gateways: Vec<KdcProxy> = (PORT..).zip(realms).map(gateway).collect();
        let names: Vec<&str> = realms.iter().map(|(name, _)| *name).collect();
        let ways: Vec<_> = names.iter().copied().zip(&gateways).collect();
        let loopkdc = Loopkdc::start(dir, &ways);
        let mut client = Client::by_drop_in(dir, &names);
        client.default_realm(names[0]);
        Site {
            client,
            _loopkdc: loopkdc,
            _gateways: gateways,
        }
    }
}

/// Runs a command that has to succeed.
fn run(command: &mut Command) {
    let output = command.output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}; tests/run brings it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

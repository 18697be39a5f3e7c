//! Which KDCs would be asked.

use std::fmt;

use ipnet::IpNet;

use crate::config::{Discover, KdcAddr, Kdcs};
use crate::wire::{ByService, Realm};

/// The KDCs of `realm`, a line for each or for what leads to them.
pub(super) fn show(
    f: &mut fmt::Formatter<'_>,
    realm: &Realm,
    kdcs: &Kdcs,
    services: ByService<bool>,
) -> fmt::Result {
    match kdcs {
        Kdcs::Listed(kdcs) => {
            listed(f, "kdc", kdcs.kdc.as_ref())?;
            listed(f, "kpasswd", kdcs.kpasswd.as_ref())
        }
        Kdcs::Discovered(found) => discovered(f, realm, found, services),
    }
}

fn listed(f: &mut fmt::Formatter<'_>, service: &str, list: Option<&Vec<KdcAddr>>) -> fmt::Result {
    let Some(list) = list else {
        return writeln!(f, "  {service}: not offered");
    };
    for (index, kdc) in list.iter().enumerate() {
        let primary = if kdc.primary { " (primary)" } else { "" };
        writeln!(f, "  {service} {}. {kdc}{primary}", index + 1)?;
    }
    Ok(())
}

fn discovered(
    f: &mut fmt::Formatter<'_>,
    realm: &Realm,
    found: &Discover,
    services: ByService<bool>,
) -> fmt::Result {
    for (offered, service) in [(services.kdc, "kdc"), (services.kpasswd, "kpasswd")] {
        match (offered, service) {
            (false, _) => writeln!(f, "  {service}: not offered")?,
            (true, "kdc") => {
                writeln!(
                    f,
                    "  kdc: SRV records of _kerberos._tcp.{0} and _kerberos._udp.{0}",
                    realm
                )?;
            }
            (true, _) => {
                writeln!(
                    f,
                    "  kpasswd: SRV records of _kpasswd._tcp.{0} and _kpasswd._udp.{0}",
                    realm
                )?;
            }
        }
    }
    let ports: Vec<_> = found.ports.iter().map(u16::to_string).collect();
    writeln!(f, "  ports allowed in them: {}", ports.join(", "))?;
    also_allowed(f, &found.networks)
}

/// What names found in DNS may lead to besides other hosts.
pub(super) fn also_allowed(f: &mut fmt::Formatter<'_>, networks: &[IpNet]) -> fmt::Result {
    if networks.is_empty() {
        return Ok(());
    }
    let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
    writeln!(f, "  also allowed: {}", networks.join(", "))
}

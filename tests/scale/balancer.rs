//! HAProxy with the configuration that is shipped, its paths and names as they stand there.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::authority::Authority;
use crate::support::netns::bind_over;
use crate::support::process::{PATIENCE, Process};

const SHIPPED: &str = include_str!("../../packaging/haproxy/haproxy.cfg");
/// The name that clients know, and where it leads: port 443 of all addresses is taken by the gateways here.
pub(crate) const NAME: &str = "kdcproxy.example.com";
pub(crate) const ADDRESS: &str = "192.0.2.10";
/// Where the laptop is, as HAProxy sees it.
pub(crate) const LAPTOP: &str = "192.0.2.77";

/// The gateways, by the names in the configuration.
pub(crate) const GATEWAYS: [(&str, &str); 2] = [
    ("gateway1.example.com", "127.0.0.51"),
    ("gateway2.example.com", "127.0.0.52"),
];

/// Makes the addresses, the names, and certificates from one authority, `ca.pem`: for each gateway in a folder of its name,
/// and for HAProxy in `dir`/haproxy, which stands in the place of /etc/haproxy from now on.
pub(crate) fn furnish(dir: &Path) {
    for address in [ADDRESS, LAPTOP] {
        ip(&format!("address add {address}/32 dev lo"));
    }
    // What goes to the one comes from the other.
    ip(&format!(
        "route replace local {ADDRESS} dev lo table local src {LAPTOP}"
    ));
    let names = GATEWAYS.iter().map(|(name, address)| (*address, *name));
    let hosts: String = names
        .chain([(ADDRESS, NAME), ("127.0.0.1", "localhost")])
        .map(|(address, name)| format!("{address} {name}\n"))
        .collect();
    fs::write(dir.join("hosts"), hosts).unwrap();
    bind_over(&dir.join("hosts"), Path::new("/etc/hosts"));

    let authority = Authority::new();
    authority.write(&dir.join("ca.pem"));
    for (name, _) in GATEWAYS {
        let own = dir.join(name);
        fs::create_dir(&own).unwrap();
        authority.certify(&own, &[name]);
    }
    let own = dir.join("haproxy");
    fs::create_dir(&own).unwrap();
    authority.write(&own.join("gateways-ca.pem"));
    let (leaf, key) = authority.leaf(&[NAME], |_| {});
    fs::write(own.join("kdcproxy.pem"), leaf + &key).unwrap();
    bind_over(&own, Path::new("/etc/haproxy"));
}

/// Starts it; the gateways are there already.
pub(crate) fn start(dir: &Path) -> Process {
    let here = SHIPPED.replace("bind :443", &format!("bind {ADDRESS}:443"));
    assert_ne!(here, SHIPPED);
    let haproxy = haproxy(dir, &here);
    listens();
    haproxy
}

/// Starts it with this configuration.
pub(crate) fn haproxy(dir: &Path, configuration: &str) -> Process {
    let file = dir.join("haproxy.cfg");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(&file);
    Process::spawn("haproxy", &mut command)
}

/// Waits until a balancer listens: none says anything when it begins to.
pub(crate) fn listens() {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((ADDRESS, 443)).is_err() {
        assert!(Instant::now() < until, "no balancer ever listened");
        thread::sleep(Duration::from_millis(5));
    }
}

fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().unwrap();
    assert!(status.success(), "ip {line}");
}

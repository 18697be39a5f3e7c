//! A realm, its proxy, a name server, and a laptop that may or may not be on the realm's network.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use loopkdc::relay::upstream::kdc::LOCAL_KDC_TIMEOUT;
use tempfile::TempDir;

use crate::support::authority::Authority;
use crate::support::client::{Client, Outcome};
use crate::support::loopkdc::Loopkdc;
use crate::support::nameserver::{NameServer, Record};
use crate::support::proxy::{KdcProxy, Maker, Place, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};

pub(crate) const REALM: &str = "EXAMPLE.COM";
/// The last octet of the address of the realm's servers, and of those that proxies have.
pub(crate) const HOST: u8 = 88;
pub(crate) const FIRST: u8 = 2;
pub(crate) const SECOND: u8 = 3;
/// Never asked for again in a test.
pub(crate) const LONG: u32 = 3600;
/// What a network of loopback addresses needs.
pub(crate) const LOOPBACK: &str = "discover-networks = [\"127.0.0.0/8\"]\n";

pub(crate) struct Scene {
    pub(crate) names: NameServer,
    pub(crate) realm: Realm,
    pub(crate) client: Client,
    authority: Authority,
    dir: TempDir,
}

impl Scene {
    /// All but the program and a proxy. `proxy.test` and `second.test` have addresses, and `dc1.test` is the realm's KDC.
    pub(crate) fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let names = NameServer::start();
        for (name, host) in [
            ("proxy.test", FIRST),
            ("second.test", SECOND),
            ("dc1.test", HOST),
        ] {
            names.says(name, LONG, &[at(host)]);
        }
        let authority = Authority::new();
        authority.write(&dir.path().join("ca.pem"));
        Scene {
            names,
            realm: Realm::start(dir.path(), REALM, HOST, Preauth::Timestamp),
            client: Client::by_drop_in(dir.path(), &[REALM]),
            authority,
            dir,
        }
    }

    /// Starts `loopkdc gateway` as the proxy of this name, in front of the realm.
    pub(crate) fn proxy(&self, name: &str, host: u8) -> KdcProxy {
        self.proxy_to(Route::to(&self.realm), name, host)
    }

    /// The same for another realm alone.
    pub(crate) fn strangers_proxy(&self, name: &str, host: u8) -> KdcProxy {
        let route = Route {
            realm: "OTHER.TEST".to_owned(),
            ..Route::to(&self.realm)
        };
        self.proxy_to(route, name, host)
    }

    fn proxy_to(&self, route: Route, name: &str, host: u8) -> KdcProxy {
        let listen = [SocketAddr::from(([127, 0, 0, host], 443))];
        let place = Place {
            listen: &listen,
            name,
            authority: &self.authority,
        };
        let dir = self.dir.path().join(name);
        KdcProxy::at(Maker::Ours, &dir, place, &[route])
    }

    /// Starts the program with these lines about the realm.
    pub(crate) fn loopkdc(&self, lines: &str) -> Loopkdc {
        Loopkdc::with_config(self.dir.path(), &self.configuration(lines))
    }

    pub(crate) fn configuration(&self, lines: &str) -> String {
        let ca = self.dir.path().join("ca.pem");
        format!(
            "[realms.\"{REALM}\"]\nca-file = \"{}\"\n{lines}",
            ca.display()
        )
    }

    /// What is kept of what was found.
    pub(crate) fn memory(&self) -> PathBuf {
        self.dir.path().join("state/proxies.toml")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn kinit(&self) -> Outcome {
        self.client.run("kinit user@EXAMPLE.COM", &[PASSWORD])
    }

    /// A login, a ticket of a service, and a new password.
    pub(crate) fn uses_all(&self) {
        self.kinit().succeeds();
        self.client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        let new = "a newer horse";
        let kpasswd = self
            .client
            .run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new]);
        kpasswd.succeeds();
        assert_eq!(self.realm.key_version("user"), 2);
    }

    /// Has the zone name these proxies for logins, with their priorities.
    pub(crate) fn lead(&self, ttl: u32, urls: &[(u16, &str)]) {
        let record = |(priority, url): &(u16, &str)| uri(*priority, url);
        let records: Vec<_> = urls.iter().map(record).collect();
        self.names.says("_kerberos.EXAMPLE.COM", ttl, &records);
    }

    /// Has the zone name these KDCs, and the password servers beside them.
    pub(crate) fn lead_to_kdcs(&self, hosts: &[&'static str]) {
        for (name, port) in [("_kerberos._tcp", 88), ("_kpasswd._tcp", 464)] {
            let records = hosts.iter().map(|host| Record::Srv(0, port, host));
            let name = format!("{name}.EXAMPLE.COM");
            self.names.says(&name, LONG, &records.collect::<Vec<_>>());
        }
    }
}

pub(crate) fn at(host: u8) -> Record {
    Record::A(Ipv4Addr::new(127, 0, 0, host))
}

pub(crate) fn uri(priority: u16, url: &str) -> Record {
    Record::Uri(priority, format!("krb5srv::kkdcp:{url}"))
}

/// A network interface that swallows what is sent to 10.88.0.0/24, as a VPN does that has come up half.
pub(crate) struct HalfUp;

/// An address on it.
pub(crate) const LOST: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 9);

impl HalfUp {
    pub(crate) fn start() -> HalfUp {
        ip("link add vpn0 type veth peer name peer0");
        for end in ["vpn0", "peer0"] {
            // Nothing but what is sent there on purpose.
            ip(&format!("link set {end} addrgenmode none"));
            ip(&format!("link set {end} up"));
        }
        ip("addr add 10.88.0.1/24 dev vpn0");
        ip(&format!(
            "neigh add {LOST} lladdr 02:00:00:00:00:09 dev vpn0"
        ));
        HalfUp
    }

    /// How many packets it has swallowed.
    pub(crate) fn swallowed(&self) -> u64 {
        let said = ip("-s link show vpn0");
        let (_, sent) = said.split_once("TX:").expect("counters");
        let mut numbers = sent.lines().nth(1).expect("a line").split_whitespace();
        numbers.nth(1).expect("packets").parse().unwrap()
    }
}

/// The network becomes another one, as far as anybody can see.
pub(crate) fn change_network(loopkdc: &Loopkdc) {
    let before = loopkdc.process.count("network changed");
    ip("addr add 192.0.2.1/32 dev lo");
    loopkdc
        .process
        .wait_for_count("network changed", before + 1);
    ip("addr del 192.0.2.1/32 dev lo");
    loopkdc
        .process
        .wait_for_count("network changed", before + 2);
}

fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

fn run(program: &str, arguments: &str) -> String {
    let done = Command::new(program)
        .args(arguments.split_whitespace())
        .output();
    let done = done.unwrap_or_else(|e| panic!("{program}: {e}; tests/run installs it"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

/// How many exchanges took a moment or longer.
pub(crate) fn slow(loopkdc: &Loopkdc) -> usize {
    let log = loopkdc.process.log();
    let exchanges = log.lines().filter(|line| line.contains("DEBUG exchange "));
    let times = exchanges.filter_map(|line| {
        let (_, ms) = line.split_once(" ms=")?;
        let ms: u128 = ms.split_whitespace().next()?.parse().ok()?;
        Some(ms)
    });
    times
        .filter(|ms| *ms >= LOCAL_KDC_TIMEOUT.as_millis())
        .count()
}

/// How often the program has waited for something, on all of its threads.
pub(crate) fn wake_ups(loopkdc: &Loopkdc) -> u64 {
    // With the numbers that processes have here.
    run("mount", "-t proc proc /proc");
    let threads = fs::read_dir(format!("/proc/{}/task", loopkdc.process.id())).unwrap();
    let waits = threads.map(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let mut lines = status.lines();
        let waits = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        waits.expect("a line").trim().parse::<u64>().unwrap()
    });
    waits.sum()
}

/// The ways out for a service, and which of them lead to the primary KDC.
pub(crate) fn ways_to(loopkdc: &Loopkdc, service: &str) -> Vec<(String, bool)> {
    let status = loopkdc.status();
    let ways = status["realms"][0][service].as_array().unwrap().iter();
    let shown = ways.map(|way| {
        let at = usize::try_from(way["upstream"].as_u64().unwrap()).unwrap();
        let name = status["upstreams"][at]["name"].as_str().unwrap();
        (name.to_owned(), way["primary"].as_bool().unwrap())
    });
    shown.collect()
}

/// Changes the configuration, and has it read again.
pub(crate) fn reconfigure(loopkdc: &Loopkdc, text: &str) {
    fs::write(loopkdc.config(), text).unwrap();
    loopkdc.process.signal("HUP");
    loopkdc.process.wait_for("configuration read again");
}

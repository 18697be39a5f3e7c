//! The usual scene: a laptop that roams, and an office with a realm and its proxy; or two of them.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::network::{Host, Network};
use crate::support::authority::Authority;
use crate::support::client::{Client, Running};
use crate::support::loopkdc::Loopkdc;
use crate::support::nameserver::{NameServer, Record};
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Maker, Place, Route};
use crate::support::realm::{More, Preauth, Realm};
use crate::support::recorder::Recorder;
use crate::topology::{self, BRANCH, Hosts, INSIDE, NAME_SERVER, OFFICE, Site};

pub(crate) const REALM: &str = "EXAMPLE.COM";
/// Where the proxies believe the KDC and the password server to be.
const KDC: ([u8; 4], u16) = ([127, 0, 0, 99], 88);
const KPASSWD: ([u8; 4], u16) = ([127, 0, 0, 99], 464);
/// The laptop's resolver keeps nothing.
const TTL: u32 = 3600;

/// What differs between scenes.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// Whose proxies they are.
    pub(crate) maker: Maker,
    /// Which proxies there are.
    pub(crate) sites: &'a [Site],
    /// Lines of the realm's table in the laptop's configuration.
    pub(crate) lines: &'a str,
    /// Lines for kadmin.local before the servers start.
    pub(crate) admin: &'a str,
}

/// Everything that one test needs; all of it ends with the test.
pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) loopkdc: Loopkdc,
    configuration: String,
    /// In the order of the sites.
    pub(crate) proxies: Vec<KdcProxy>,
    /// What those had logged that were replaced.
    posts_before: usize,
    /// Between all proxies and all KDCs and password servers.
    pub(crate) recorder: Recorder,
    pub(crate) realm: Realm,
    _second: Option<[Process; 2]>,
    pub(crate) portal: Option<Process>,
    pub(crate) names: NameServer,
    pub(crate) hosts: Hosts,
    maker: Maker,
    pub(crate) authority: Authority,
    dir: TempDir,
}

/// One proxy of ours.
impl Default for Plan<'_> {
    fn default() -> Self {
        Plan {
            maker: Maker::Ours,
            sites: &[OFFICE],
            lines: "",
            admin: "",
        }
    }
}

impl Plan<'_> {
    /// Two proxies of ours, and two KDCs on one database behind them.
    pub(crate) fn with_a_branch() -> Self {
        Plan {
            sites: &[OFFICE, BRANCH],
            ..Plan::default()
        }
    }

    /// Makes the scene; nobody has logged in yet.
    pub(crate) fn open(self) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let hosts = Hosts::new(&Network::new());
        let [office, branch] = &hosts.offices;
        let names = hosts
            .router
            .at(|| NameServer::at(NAME_SERVER.parse().unwrap()));
        topology::resolve(dir.path());
        let more = More {
            admin: self.admin,
            ..More::default()
        };
        let realm = office.at(|| Realm::with(dir.path(), REALM, 88, Preauth::Timestamp, more));
        let recorder = office.at(|| {
            let recorder = Recorder::start(KDC.into(), realm.kdc_address());
            recorder.stand(KPASSWD.into(), realm.kpasswd_address());
            recorder
        });
        let second = (self.sites.len() > 1).then(|| {
            branch.at(|| {
                let servers = realm.once_more();
                recorder.stand(KDC.into(), realm.kdc_address());
                recorder.stand(KPASSWD.into(), realm.kpasswd_address());
                servers
            })
        });
        office.at(|| recorder.stand((INSIDE, 88).into(), realm.kdc_address()));
        let authority = Authority::new();
        let proxies = self.sites.iter().zip(&hosts.offices).map(|(site, host)| {
            names.says(site.name, TTL, &site.only_ipv4());
            start_proxy(self.maker, dir.path(), *site, host, &authority)
        });
        let proxies: Vec<_> = proxies.collect();
        let configuration = configuration(&proxies, self.lines);
        let loopkdc = hosts
            .laptop
            .at(|| Loopkdc::with_config(dir.path(), &configuration));
        Scene {
            client: Client::by_drop_in(dir.path(), &[REALM]),
            loopkdc,
            configuration,
            proxies,
            posts_before: 0,
            recorder,
            realm,
            _second: second,
            portal: None,
            names,
            hosts,
            maker: self.maker,
            authority,
            dir,
        }
    }
}

impl Scene {
    /// Somebody else at the laptop, with tickets of his own.
    pub(crate) fn somebody(&self) -> Client {
        let dir = tempfile::tempdir_in(self.dir()).unwrap();
        // It goes with the scene's.
        Client::by_drop_in(&dir.keep(), &[REALM])
    }

    /// The user begins a command line at the laptop.
    pub(crate) fn begins(&self, line: &str) -> Running {
        self.hosts.laptop.at(|| self.client.begin(line))
    }

    /// The name server says other addresses of the proxies from now on.
    pub(crate) fn says_addresses(&self, of: fn(Site) -> Vec<Record>) {
        for site in [OFFICE, BRANCH] {
            self.names.says(site.name, TTL, &of(site));
        }
    }

    /// POSTs that the proxies have logged.
    pub(crate) fn posts(&self) -> usize {
        let logged = self.proxies.iter().map(KdcProxy::asked);
        self.posts_before + logged.sum::<usize>()
    }

    /// Connections that came to the proxies.
    pub(crate) fn connects(&self) -> u64 {
        let counts = self.hosts.offices.iter().map(|office| {
            let counter = office.says("nft list counter inet watch connects");
            let (_, count) = counter.split_once("packets ").expect("a counter");
            let count = count.split(' ').next().unwrap();
            count.parse::<u64>().unwrap()
        });
        counts.sum()
    }

    /// The proxy of this site is killed.
    pub(crate) fn kills_proxy(&mut self, which: usize) {
        self.proxies[which].process.signal("KILL");
        self.proxies[which].process.wait();
    }

    /// The proxy of this site starts again.
    pub(crate) fn starts_proxy(&mut self, which: usize) {
        let (site, host) = ([OFFICE, BRANCH][which], &self.hosts.offices[which]);
        self.posts_before += self.proxies[which].asked();
        self.proxies[which] = start_proxy(self.maker, self.dir.path(), site, host, &self.authority);
    }

    /// `loopkdc run` starts again, and knows nothing of before.
    pub(crate) fn forgets(&mut self) {
        self.starts_with(&[]);
    }

    /// The same with these variables of its environment.
    pub(crate) fn starts_with(&mut self, environment: &[(&str, &str)]) {
        self.loopkdc.process.terminate();
        let (dir, configuration) = (self.dir.path(), &self.configuration);
        let laptop = &self.hosts.laptop;
        let start = || Loopkdc::with_environment(dir, configuration, environment);
        self.loopkdc = laptop.at(start);
    }

    /// A folder for what a test needs.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn start_proxy(
    maker: Maker,
    dir: &Path,
    site: Site,
    host: &Host,
    authority: &Authority,
) -> KdcProxy {
    let route = Route {
        realm: REALM.to_owned(),
        kdc: SocketAddr::from(KDC),
        kpasswd: SocketAddr::from(KPASSWD),
    };
    let place = Place {
        listen: &site.listen(),
        name: site.name,
        authority,
    };
    host.at(|| KdcProxy::at(maker, &dir.join(site.name), place, &[route]))
}

fn configuration(proxies: &[KdcProxy], lines: &str) -> String {
    let urls: Vec<_> = proxies.iter().map(KdcProxy::url).collect();
    let ca = proxies[0].ca_file.display();
    format!("[realms.\"{REALM}\"]\nproxies = {urls:?}\nca-file = \"{ca}\"\n{lines}")
}

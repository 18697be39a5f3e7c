//! The scene: a realm, what counts its requests, two gateways, HAProxy, and one laptop.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::balancer::{self, GATEWAYS, NAME};
use crate::load::{Asked, Load};
use crate::messages::{Kind, REALM};
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::process::Process;
use crate::support::proxy::KdcProxy;
use crate::support::realm::{PASSWORD, Preauth, Realm};
use crate::support::recorder::Recorder;

/// Where the gateways believe the KDC to be.
const RECORDER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 99)),
    88,
);

/// Everything that one test needs; all of it ends with the test.
pub(crate) struct Office {
    pub(crate) client: Client,
    pub(crate) loopkdc: Loopkdc,
    pub(crate) haproxy: Process,
    pub(crate) gateways: [KdcProxy; 2],
    pub(crate) recorder: Recorder,
    pub(crate) dir: TempDir,
    _realm: Realm,
}

impl Office {
    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        balancer::furnish(dir.path());
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let recorder = Recorder::start(RECORDER, realm.kdc_address());
        let gateways = [0, 1].map(|which| gateway(dir.path(), which));
        let haproxy = balancer::start(dir.path());
        // HAProxy has asked for their health, and they have asked their KDC: what it is kept from later says nothing of them.
        for gateway in &gateways {
            gateway.process.wait_for("transport=\"own\"");
        }
        let ca = dir.path().join("ca.pem");
        let config = format!(
            "[realms.\"{REALM}\"]\nproxies = [\"https://{NAME}/KdcProxy\"]\nca-file = \"{}\"\n",
            ca.display()
        );
        let loopkdc = Loopkdc::with_config(dir.path(), &config);
        let client = Client::by_drop_in(dir.path(), &[REALM]);
        Self {
            client,
            loopkdc,
            haproxy,
            gateways,
            recorder,
            dir,
            _realm: realm,
        }
    }

    /// Which of the gateways the laptop's requests go to: all of them to the same.
    pub(crate) fn serving(&self) -> usize {
        let counts = [0, 1].map(|which: usize| requests(&self.gateways[which]));
        let serving = counts.iter().position(|count| *count > 0).unwrap();
        assert_eq!(counts[1 - serving], 0, "one laptop, one gateway");
        serving
    }

    /// Starts a gateway again that has ended, and waits until HAProxy takes it into service.
    pub(crate) fn start_again(&mut self, which: usize) {
        let server = format!("Server gateways/gateway{}", which + 1);
        let down = format!("{server} is DOWN");
        self.haproxy.wait_for(&down);
        self.gateways[which] = gateway(self.dir.path(), which);
        self.haproxy.wait_for(&format!("{server} is UP"));
    }

    /// A user logs in.
    pub(crate) fn log_in(&self) {
        let kinit = self.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds();
    }

    /// Ends `load`, and fails the test if a request that must not be sent twice was seen twice, or if `loopkdc run` counted
    /// other verdicts than the laptop. Returns what got one.
    pub(crate) fn judge(&mut self, load: Load) -> Vec<Kind> {
        let asked = load.end();
        let once = |asked: &&Asked| asked.kind == Kind::Preauth;
        for asked in asked.iter().filter(once) {
            let seen = self.recorder.count(&asked.request);
            assert!(seen <= 1, "{:?} was seen {seen} times", asked.kind);
            assert!(seen == 1 || !asked.replied);
        }
        let lost: Vec<_> = asked.iter().filter(|asked| !asked.replied).collect();
        let longest = asked.iter().map(|asked| asked.took).max().unwrap();
        let count = asked.len();
        eprintln!("{count} requests, {} lost, longest {longest:?}", lost.len());
        self.loopkdc.process.terminate();
        let log = self.loopkdc.process.log();
        let counted = log.lines().find(|line| line.contains("counted")).unwrap();
        let failed = format!(" failed: {},", lost.len());
        assert!(counted.contains(&failed), "{} lost: {counted}", lost.len());
        lost.iter().map(|asked| asked.kind).collect()
    }
}

/// How many requests it was brought.
pub(crate) fn requests(gateway: &KdcProxy) -> usize {
    gateway.process.count(" client=")
}

fn gateway(dir: &Path, which: usize) -> KdcProxy {
    let (name, address) = GATEWAYS[which];
    // All the load is from one address.
    let configuration = format!(
        "[gateway]\nlisten = [\"{address}:443\"]\ncertificate = \"leaf.pem\"\nkey = \"leaf.key\"\n\
         trusted-proxies = [\"127.0.0.1\"]\nclient-requests-per-second = 0\n\
         client-max-in-flight = 0\nfailed-logins-per-minute = 0\nfailed-logins-per-principal = 0\n\
         access-log-lines-per-second = 1000000\n\
         [realms.\"{REALM}\"]\nkdcs = [\"{RECORDER}\"]\nkpasswd-servers = [\"127.0.0.88:464\"]\n"
    );
    KdcProxy::gateway(&dir.join(name), 443, &configuration)
}

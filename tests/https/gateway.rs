//! A gateway in this process, on a port of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loopkdc::config::gateway::{GatewayConfig, Quotas, TlsFiles, TrustedProxies};
use loopkdc::daemon::bind::StreamSocket;
use loopkdc::daemon::tasks::Tasks;
use loopkdc::gateway::access::Access;
use loopkdc::gateway::access_log::AccessLog;
use loopkdc::gateway::https::{self, HttpLimits, HttpListener, ServeOptions};
use loopkdc::gateway::metrics::Metrics;
use loopkdc::gateway::observers::Observers;
use loopkdc::gateway::policy::Policies;
use loopkdc::gateway::throttle::Throttle;
use loopkdc::gateway::tls::{Certificates, ServerTls};
use loopkdc::relay::answer::OnFailure;
use loopkdc::relay::counters::Counters;
use loopkdc::relay::exchange::{Exchange, Routing};
use loopkdc::relay::routes::{RealmPattern, Route, Routes, UpstreamId};
use loopkdc::relay::upstream::Upstream;
use loopkdc::relay::upstream::kdc::{Kdc as Way, KdcOptions as Kdcs, Permitted, Reach, Transport};
use loopkdc::wire::{ByService, Realm};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::certificates::{Clients, Leaf, server, shown, signed};
use crate::kdc::{Act, Kdc};
use crate::messages::REALM;

/// Another name of the realm.
pub const ALIAS: &str = "EXAMPLE";

/// A realm with the same KDC, of which the passwords are not changed here.
pub const NEIGHBOUR: &str = "NEIGHBOUR.EXAMPLE";

/// TLS with a new certificate.
pub fn certificate() -> Arc<ServerTls> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let config = server(shown(Leaf::Right), Clients::NotAsked, &versions, &[]);
    Arc::new(ServerTls::new(config, None))
}

/// The files of a new certificate that clients trust, in `dir`.
pub fn files(dir: &Path) -> TlsFiles {
    let (certificate, key) = signed(Leaf::Right);
    let files = TlsFiles {
        certificate: dir.join("gateway.pem"),
        key: dir.join("gateway-key.pem"),
        client_ca: None,
        client_crl: None,
        require_client_cert: false,
    };
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}

pub struct Gateway {
    pub kdc: Kdc,
    pub exchange: Arc<Exchange>,
    pub metrics: Arc<Metrics>,
    pub tasks: Tasks,
    pub tls: SocketAddr,
    pub plain: SocketAddr,
    pub unix: PathBuf,
    pub policies: watch::Sender<Policies>,
    /// Those in use, unless the test brought its own.
    pub certificates: watch::Sender<Arc<ServerTls>>,
    _dir: TempDir,
}

/// What a test asks for that differs from others.
pub struct Setup {
    pub act: Act,
    pub max_in_flight: usize,
    pub deadline: Duration,
    /// A KDC has replied before.
    pub was_reached: bool,
    /// Where the KDC is said to be, if not where it is.
    pub kdc: Option<String>,
    pub limits: HttpLimits,
    pub access_log: Option<AccessLog>,
    pub quotas: Quotas,
    pub trusted: TrustedProxies,
    pub access: Access,
    pub is_strict: bool,
    /// Each connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// The ways out.
    pub upstreams: ByService<Option<Vec<UpstreamId>>>,
    pub certificates: Option<Certificates>,
    /// Whether the realm's name opens the way to others.
    pub serves_other_realms: bool,
    /// What the configuration says of realms, as far as policies go by it.
    pub policies: Policies,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            act: Act::Reply,
            max_in_flight: 16,
            deadline: Duration::from_millis(300),
            was_reached: true,
            kdc: None,
            limits: HttpLimits::new(64, Duration::from_secs(30)),
            access_log: None,
            quotas: Quotas::default(),
            trusted: TrustedProxies::default(),
            access: Access::default(),
            is_strict: true,
            proxy_protocol: false,
            upstreams: ByService::both(Some(vec![UpstreamId(0)])),
            certificates: None,
            serves_other_realms: false,
            policies: Policies::default(),
        }
    }
}

/// The policies that these tables of realms make.
pub fn policies(realms: &str) -> Policies {
    let text = format!("[gateway]\nlisten = []\nplain-listen = [\"127.0.0.1:1\"]\n{realms}");
    let config = GatewayConfig::parse(Path::new("gateway.toml"), &text);
    Policies::new(&config.unwrap().realms)
}

impl Gateway {
    pub async fn new() -> Self {
        Setup::default().start().await
    }

    pub fn counters(&self) -> &Counters {
        self.exchange.counters()
    }
}

impl Setup {
    pub fn kdc_that(act: Act) -> Self {
        Self {
            act,
            ..Self::default()
        }
    }

    pub fn limits(change: impl FnOnce(&mut HttpLimits)) -> Self {
        let mut setup = Self::default();
        change(&mut setup.limits);
        setup
    }

    pub fn quotas(quotas: Quotas) -> Self {
        Self {
            quotas,
            ..Self::default()
        }
    }

    pub fn trusting(mut self, text: &str) -> Self {
        match text {
            "unix" => self.trusted.unix = true,
            network => self.trusted.networks.push(network.parse().unwrap()),
        }
        self
    }

    pub async fn start(self) -> Gateway {
        let kdc = Kdc::start(self.act).await;
        let address = self.kdc.unwrap_or_else(|| kdc.address.clone());
        let way = Way::new(Kdcs {
            name: address,
            transport: Transport::TcpFirst,
            max_in_flight: 256,
            permitted: Permitted::Any,
            reach: Reach::Always,
        });
        let way = Upstream::Kdc(Box::new(way));
        let mut routes = Routes::default();
        let route = Route {
            upstreams: self.upstreams,
            deadline: self.deadline,
            shared: true,
            serves_other_realms: self.serves_other_realms,
            ..Route::default()
        };
        let [realm, alias] = [REALM, ALIAS].map(|name| Realm::parse(name.as_bytes()).unwrap());
        let mut neighbour = route.clone();
        neighbour.upstreams.kpasswd = None;
        routes.add(&RealmPattern::Exact(realm), &[alias], route);
        let realm = Realm::parse(NEIGHBOUR.as_bytes()).unwrap();
        routes.add(&RealmPattern::Exact(realm), &[], neighbour);
        let routing = Routing::new(routes, vec![Arc::new(way)], OnFailure::Unreachable);
        let exchange = Exchange::new(routing, self.max_in_flight);
        let reached = &exchange.counters().replied;
        reached.add_all(self.was_reached.into());
        let tasks = Tasks::default();
        let (certificates, current) = watch::channel(certificate());
        let current = self.certificates.unwrap_or(current);
        let policies = watch::Sender::new(self.policies);
        let metrics = Metrics::new(&exchange, Some(current.clone()));
        let proxied = self.proxy_protocol;
        let tls = listener(Some(current), proxied).await;
        let plain = listener(None, proxied).await;
        let addresses = (tls.1, plain.1);
        let dir = tempfile::tempdir().unwrap();
        let unix = dir.path().join("gateway.sock");
        let local = HttpListener {
            socket: StreamSocket::Unix(UnixListener::bind(&unix).unwrap()),
            tls: None,
            proxy_protocol: self.proxy_protocol,
        };
        let listeners = vec![tls.0, plain.0, local];
        let terms = ServeOptions {
            path: "/KdcProxy".to_owned(),
            is_strict: self.is_strict,
            limits: self.limits,
            observers: Observers {
                access_log: self.access_log,
                metrics: Some(Arc::clone(&metrics)),
            },
            throttle: Throttle::new(&self.quotas, Instant::now()),
            trusted: self.trusted,
            access: self.access,
            policies: policies.subscribe(),
            probe: Arc::default(),
        };
        https::serve(listeners, terms, &exchange, &tasks);
        Gateway {
            kdc,
            exchange,
            metrics,
            tasks,
            tls: addresses.0,
            plain: addresses.1,
            unix,
            policies,
            certificates,
            _dir: dir,
        }
    }
}

async fn listener(tls: Option<Certificates>, proxy_protocol: bool) -> (HttpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let socket = StreamSocket::Tcp(socket);
    let listener = HttpListener {
        socket,
        tls,
        proxy_protocol,
    };
    (listener, address)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.tasks.stop.cancel();
    }
}

//! A gateway in this process, on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use loopkdc::answer::OnFailure;
use loopkdc::counters::Counters;
use loopkdc::exchange::{Exchange, Routing};
use loopkdc::listen::https::{self, ALPN, Certificates, Door, Limits, ServerTls, Socket, Terms};
use loopkdc::route::{RealmPattern, Route, Routes, UpstreamId};
use loopkdc::upstream::Upstream;
use loopkdc::upstream::kdc::{Kdc as Way, Transport};
use loopkdc::wire::{ByService, Realm};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::certificates::{Leaf, server};
use crate::kdc::{Act, Kdc};
use crate::messages::REALM;

/// TLS with a new certificate.
pub fn certificate() -> Arc<ServerTls> {
    let protocols = ALPN.map(|protocol| std::str::from_utf8(protocol).unwrap());
    let config = server(
        Leaf::Right,
        &[&rustls::version::TLS13, &rustls::version::TLS12],
        &protocols,
    );
    Arc::new(ServerTls {
        config,
        validity: None,
    })
}

pub struct Gateway {
    pub kdc: Kdc,
    pub exchange: Arc<Exchange>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    pub tls: SocketAddr,
    pub plain: SocketAddr,
    pub certificates: watch::Sender<Arc<ServerTls>>,
}

/// What a test asks for that differs from others.
pub struct Setup {
    pub act: Act,
    pub max_in_flight: usize,
    /// Where the KDC is said to be, if not where it is.
    pub kdc: Option<String>,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            act: Act::Reply,
            max_in_flight: 16,
            kdc: None,
            limits: Limits::of(64),
        }
    }
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

    pub fn limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut setup = Self::default();
        change(&mut setup.limits);
        setup
    }

    pub async fn start(self) -> Gateway {
        let kdc = Kdc::start(self.act).await;
        let address = self.kdc.unwrap_or_else(|| kdc.address.clone());
        let way = Upstream::Kdc(Way::new(address, Transport::TcpFirst));
        let mut routes = Routes::default();
        let route = Route {
            upstreams: ByService::both(vec![UpstreamId(0)]),
            primary: Vec::new(),
            target_domain: None,
            dclocator_hint: None,
            deadline: Duration::from_millis(300),
            on_failure: OnFailure::Unreachable,
        };
        let realm = Realm::parse(REALM.as_bytes()).unwrap();
        routes.add(&RealmPattern::Exact(realm), &[], route);
        let routing = Routing::new(routes, vec![Arc::new(way)], OnFailure::Unreachable);
        let exchange = Exchange::new(routing, self.max_in_flight);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (certificates, current) = watch::channel(certificate());
        let (tls, plain) = (door(Some(current)).await, door(None).await);
        let addresses = (tls.1, plain.1);
        let doors = vec![tls.0, plain.0];
        let terms = Terms {
            path: "/KdcProxy".to_owned(),
            limits: self.limits,
        };
        https::serve(doors, terms, &exchange, &stop, &tasks);
        Gateway {
            kdc,
            exchange,
            stop,
            tasks,
            tls: addresses.0,
            plain: addresses.1,
            certificates,
        }
    }
}

async fn door(tls: Option<Certificates>) -> (Door, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let socket = Socket::Tcp(socket);
    (Door { socket, tls }, address)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

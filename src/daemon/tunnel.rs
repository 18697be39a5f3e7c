//! `loopkdc run`: a KDC on loopback, and the proxies that it reaches real ones by.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::signals::Signals;
use super::tasks::Tasks;
use super::{Daemon, descriptors, in_runtime, obey};
use crate::config::{Config, Listen, RealmEntry, Sources};
use crate::exchange::{Exchange, Routing};
use crate::failure::{Exit, Failure};
use crate::listen::{self, Inherited, Limits, Listener};
use crate::route::{Route, Routes, UpstreamId};
use crate::upstream::Upstream;
use crate::upstream::kkdcp::KdcProxy;
use crate::upstream::tls::{self, SystemRoots};
use crate::wire::{ByService, Service};

/// One user's requests, of which one that computes must not hold up the next.
const THREADS: usize = 2;

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// What keeps it from starting: a configuration that cannot work, or a socket that cannot be bound.
pub fn run(sources: &Sources) -> Result<(), Failure> {
    let inherited = Inherited::from_env();
    let config = Config::load(sources)?;
    in_runtime(THREADS, async {
        let signals = Signals::new()?;
        tokio::task::spawn_blocking(tls::warm_up);
        let listeners = listeners(&config.listen, inherited)?;
        let relay = Relay::start(&config, listeners)?;
        warn_of(&config);
        tracing::info!(kdc = %relay.kdc, kpasswd = %relay.kpasswd, "ready");
        let listen = config.listen;
        let tunnel = Tunnel {
            relay,
            sources,
            listen,
        };
        obey(signals, tunnel).await
    })
}

/// The daemon, and where its configuration came from.
struct Tunnel<'a> {
    relay: Relay,
    sources: &'a Sources,
    listen: Listen,
}

impl Daemon for Tunnel<'_> {
    fn reload(&mut self) {
        self.relay.reload(self.sources, &mut self.listen);
    }

    async fn stop(self) {
        self.relay.stop().await;
    }
}

/// Binds what the configuration asks for, except a service whose sockets the service manager handed over.
///
/// # Errors
/// A socket that cannot be bound or used, and what to do about it.
pub fn listeners(listen: &Listen, inherited: Inherited) -> Result<Vec<Listener>, Failure> {
    let mut listeners = inherited.listeners()?;
    for (service, endpoints) in [
        (Service::Kdc, &listen.kdc),
        (Service::Kpasswd, &listen.kpasswd),
    ] {
        if listeners.iter().any(|listener| listener.service == service) {
            continue;
        }
        for endpoint in endpoints {
            listeners.extend(listen::bind(service, endpoint, listen.unix_mode)?);
        }
    }
    Ok(listeners)
}

/// A relay at work: sockets, tasks and what stops them.
#[derive(Debug)]
pub struct Relay {
    /// The room that answers.
    pub exchange: Arc<Exchange>,
    /// Where the KDC service listens, as text.
    pub kdc: String,
    /// Where the kpasswd service listens, as text.
    pub kpasswd: String,
    tasks: Tasks,
}

impl Relay {
    /// Serves `listeners` as `config` says. Must be called inside a runtime.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub fn start(config: &Config, listeners: Vec<Listener>) -> Result<Self, Failure> {
        let exchange = Exchange::new(routing(config)?, config.listen.max_in_flight);
        let tasks = Tasks::default();
        let kdc = listen::addresses(&listeners, Service::Kdc);
        let kpasswd = listen::addresses(&listeners, Service::Kpasswd);
        listen::serve(
            listeners,
            &exchange,
            limits(&config.listen),
            &tasks.stop,
            &tasks.tracker,
        );
        Ok(Self {
            exchange,
            kdc,
            kpasswd,
            tasks,
        })
    }

    /// Reads the configuration anew; one that cannot work is told, and the old one stays.
    fn reload(&self, sources: &Sources, listen: &mut Listen) {
        let routing = Config::load(sources).and_then(|config| Ok((routing(&config)?, config)));
        match routing {
            Ok((routing, config)) => {
                self.exchange.reroute(routing);
                tracing::info!("configuration read again");
                warn_of(&config);
                if config.listen != *listen {
                    tracing::warn!("what [listen] says now holds after a restart");
                    *listen = config.listen;
                }
            }
            Err(failure) => tracing::error!("the old configuration stays: {failure}"),
        }
    }

    /// Stops listening, and lets what is under way end.
    pub async fn stop(self) {
        self.tasks.end(&self.exchange).await;
    }
}

fn warn_of(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

fn limits(listen: &Listen) -> Limits {
    Limits {
        udp_reply_max: listen.udp_reply_max_bytes,
        max_connections: descriptors::for_clients(listen.max_connections),
        max_in_flight: listen.max_in_flight,
        idle_timeout: listen.idle_timeout,
    }
}

/// The routes and upstreams that `config` asks for; proxies that realms have in common are one upstream.
fn routing(config: &Config) -> Result<Routing, Failure> {
    let mut upstreams = Upstreams::default();
    let mut routes = Routes::default();
    for entry in &config.realms {
        let route = Route {
            upstreams: ByService::both(Some(upstreams.of(entry)?)),
            primary: Vec::new(),
            target_domain: target_domain(entry),
            dclocator_hint: entry.dclocator_hint,
            deadline: entry.deadline,
            on_failure: entry.on_failure,
            silence_is_illness: true,
        };
        routes.add(&entry.pattern, &entry.aliases, route);
    }
    Ok(Routing::new(
        routes,
        upstreams.list,
        config.default_on_failure,
    ))
}

/// What is sent as the target-domain, unless it is the client's spelling: proxies compare with regard to case.
fn target_domain(entry: &RealmEntry) -> Option<String> {
    use crate::route::RealmPattern;
    let own = match &entry.pattern {
        RealmPattern::Exact(realm) => Some(realm.as_str().to_owned()),
        RealmPattern::Suffix(_) | RealmPattern::Any => None,
    };
    entry.target_domain.clone().or(own)
}

/// The upstreams so far.
#[derive(Default)]
struct Upstreams {
    list: Vec<Arc<Upstream>>,
    known: HashMap<(Url, Option<PathBuf>), UpstreamId>,
    roots: Option<SystemRoots>,
}

impl Upstreams {
    fn of(&mut self, entry: &RealmEntry) -> Result<Vec<UpstreamId>, Failure> {
        entry
            .proxies
            .iter()
            .map(|proxy| self.one(proxy.as_url(), entry))
            .collect()
    }

    fn one(&mut self, url: &Url, entry: &RealmEntry) -> Result<UpstreamId, Failure> {
        let ca_path = entry.ca.as_ref().map(|ca| ca.path.clone());
        if let Some(id) = self.known.get(&(url.clone(), ca_path.clone())) {
            return Ok(*id);
        }
        let extra = entry.ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let roots = self.roots.get_or_insert_with(SystemRoots::load);
        let tls = roots.client_config(extra).map_err(|error| {
            Failure::new(Exit::Bug, format!("cannot set up TLS for {url}: {error}"))
        })?;
        let id = UpstreamId(self.list.len());
        self.list
            .push(Arc::new(Upstream::Proxy(Box::new(KdcProxy::new(
                url.clone(),
                tls,
            )))));
        self.known.insert((url.clone(), ca_path), id);
        Ok(id)
    }
}

//! A KDC proxy, layer by layer.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::RealmContext;
use super::connection::{self, HostPort};
use super::handshake;
use super::proxy_answer;
use super::realm::ReplyTimes;
use super::report::Section;
use super::tunnel::TunnelProxy;
use crate::relay::explain::{UpstreamKind, UpstreamRef, explain};
use crate::relay::finding::{Finding, Layer};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::kkdcp::{KdcProxy, ProxyUrl};
use crate::relay::upstream::tls::ClientTls;
use crate::relay::upstream::{ConnReuse, Fault, ForwardProxyFault, Unsent};
use crate::wire::Service;

/// All of them.
const LAYERS: RangeInclusive<Layer> = Layer::Names..=Layer::Kpasswd;
/// Name, connect and TLS together, as the daemon has it.
const CONNECT: Duration = Duration::from_secs(3);
/// What the doctor itself may add to the deadline, discovery included.
const OWN: Duration = Duration::from_millis(4500);
/// The least that a second question is worth asking in.
const LEAST: Duration = Duration::from_millis(300);

/// A proxy that is looked at, and what was found so far.
struct ProxyCheck<'a> {
    context: RealmContext<'a>,
    proxy: &'a ProxyUrl,
    permitted: &'a Permitted,
    name: &'a str,
    /// By when the connection stands, or is given up.
    until: Instant,
    section: Section,
}

/// Looks at `proxy`; how fast it is, if it serves.
pub(super) async fn examine(
    context: RealmContext<'_>,
    proxy: &ProxyUrl,
    permitted: &Permitted,
) -> (Section, Option<ReplyTimes>) {
    let name = proxy.as_url().origin().ascii_serialization();
    let mut check = ProxyCheck {
        context,
        proxy,
        permitted,
        name: &name,
        until: (Instant::now() + CONNECT).min(context.began + OWN),
        section: Section::new(context.realm, Some(name.clone())),
    };
    let times = check.examine().await;
    let mut section = check.section;
    let why = if section.has_fault() {
        "not asked, as there is a fault before it"
    } else {
        "there was no time left"
    };
    section.skip(|layer| LAYERS.contains(&layer), why);
    (section, times)
}

impl ProxyCheck<'_> {
    async fn examine(&mut self) -> Option<ReplyTimes> {
        let stream = self.connect().await?;
        if self.proxy.is_plaintext() {
            let none = Finding::warning("none: everybody on the way reads who asks for what")
                .on(Layer::Tls)
                .hint("write https:// into proxies; allow-plaintext is for tests");
            self.section.push(none);
            return self.question(None).await;
        }
        let tls = self.shake_hands(stream).await?;
        self.question(Some(tls)).await
    }

    fn upstream(&self) -> UpstreamRef<'_> {
        UpstreamRef {
            kind: UpstreamKind::Proxy,
            name: self.name,
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// What was found; nothing after a fault.
    fn pass<T>(&mut self, found: Result<(T, Finding), Finding>) -> Option<T> {
        match found {
            Ok((value, finding)) => {
                self.section.push(finding);
                Some(value)
            }
            Err(fault) => {
                self.section.push(fault);
                None
            }
        }
    }

    /// A connection to the proxy, or to what stands before it and lets it through.
    async fn connect(&mut self) -> Option<TcpStream> {
        let url = self.proxy.as_url();
        let tunnel = TunnelProxy::find(&self.context.entry.proxy_options.forward_proxy, url);
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let (place, permitted) = match &tunnel {
            Some(tunnel) => (tunnel.place.clone(), &Permitted::Any),
            None => {
                let (name, key) = (format!("{host}:{port}"), UpstreamKind::Proxy.key());
                (HostPort { name, key }, self.permitted)
            }
        };
        let found = place.look_up(permitted, self.left()).await;
        let addresses = self.pass(found)?;
        let connected = connection::connect(&addresses, self.left()).await;
        let connected = connected
            .map_err(|(address, error)| self.unreachable(tunnel.as_ref(), address, &error));
        let stream = self.pass(connected)?;
        match tunnel.filter(|_| !self.proxy.is_plaintext()) {
            Some(tunnel) => self.go_through(&tunnel).await,
            None => Some(stream),
        }
    }

    /// No connection was made to the proxy, or to what stands before it.
    fn unreachable(
        &self,
        tunnel: Option<&TunnelProxy>,
        address: SocketAddr,
        error: &std::io::Error,
    ) -> Finding {
        let unsent = match tunnel {
            Some(tunnel) => Unsent::ForwardProxy {
                proxy: format!("proxy of http-proxy, {} at {address},", tunnel.name).into(),
                fault: ForwardProxyFault::Unreachable,
                detail: connection::why(error).into(),
            },
            None => error.into(),
        };
        let mut finding = explain(&Fault::NotSent(unsent), self.upstream()).on(Layer::Tcp);
        if tunnel.is_none() {
            finding.what = format!("{address}: {}", finding.what);
        }
        finding
    }

    async fn go_through(&mut self, tunnel: &TunnelProxy) -> Option<TcpStream> {
        let began = Instant::now();
        if let Ok(Some(Ok(stream))) = timeout(self.left(), tunnel.connect()).await {
            let what = format!("{} lets it through to the proxy", tunnel.name);
            let through = Finding::ok(Layer::Tcp, what).figure(began.elapsed());
            self.section.push(through);
            return Some(stream);
        }
        // What is in its way the daemon's own client says best, and in the same words as the log.
        self.question(None).await;
        if !self.section.has_fault() {
            let what = format!("the doctor itself does not speak as {} does", tunnel.name);
            self.section.push(Finding::skipped(Layer::Tls, what));
        }
        None
    }

    /// The handshake, and what it shows. Nothing after a fault.
    async fn shake_hands(&mut self, stream: TcpStream) -> Option<ClientTls> {
        let RealmContext { entry, roots, .. } = self.context;
        let extra = entry.ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client(extra, &entry.proxy_options).map_err(|error| {
            Finding::fault(format!("TLS cannot be set up: {error}"))
                .on(Layer::Tls)
                .hint("install the system's roots (ca-certificates), or set ca-file")
        });
        let tls = match tls {
            Ok(tls) => tls,
            Err(fault) => {
                self.section.push(fault);
                return None;
            }
        };
        let host = self.proxy.as_url().host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let now = SystemTime::now();
        match handshake::shake(stream, host, tls.config.clone(), self.left()).await {
            Ok(agreed) => {
                self.section.push(agreed);
                let chain = handshake::chain(&tls.presented(), now);
                self.section.push(chain);
                if !entry.proxy_options.pins.is_empty() {
                    let pinned = "a key of its chain is among the pins";
                    self.section.push(Finding::ok(Layer::Tls, pinned));
                }
                Some(tls)
            }
            Err(error) => {
                let table = self.context.table();
                let presented = tls.presented();
                let fault = handshake::fault(&error, &presented, (host, &table), now);
                self.section.push(fault);
                None
            }
        }
    }

    /// Asks for tickets, as a client of the daemon would have it ask.
    async fn question(&mut self, shaken: Option<ClientTls>) -> Option<ReplyTimes> {
        let context = self.context;
        let RealmContext {
            entry,
            realm,
            roots,
            ..
        } = context;
        let extra = entry.ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client(extra, &entry.proxy_options).ok()?;
        let url = self.proxy.as_url().clone();
        let proxy = KdcProxy::new(url, tls, &entry.proxy_options, self.permitted.clone());
        let ask = async |service, reuse, limit| {
            proxy_answer::ask(context, &proxy, service, reuse, limit).await
        };
        let first = ask(Service::Kdc, ConnReuse::Never, entry.deadline).await?;
        if shaken.is_some_and(|tls| tls.was_certificate_requested()) && !first.wants_certificate() {
            self.section.push(self.client_certificate());
        }
        for finding in first.findings(self.upstream()) {
            self.section.push(finding);
        }
        let first = first.reply.ok()?;
        self.section.push(first.kdc(Service::Kdc, realm));
        if self.section.has_fault() {
            return None;
        }
        self.section.push(first.clock());
        let (cold, left) = (first.took(), context.left());
        if left < LEAST {
            return Some(ReplyTimes { cold, warm: cold });
        }
        let mut second = ask(Service::Kpasswd, ConnReuse::Any, left / 2).await?;
        if second.was_over_a_closed_connection() {
            second = ask(Service::Kpasswd, ConnReuse::Never, left / 2).await?;
        }
        let (finding, warm) = match &second.reply {
            Ok(second) => (second.kdc(Service::Kpasswd, realm), second.took()),
            Err(fault) => (explain(fault, self.upstream()).on(Layer::Kpasswd), cold),
        };
        self.section.push(finding);
        Some(ReplyTimes { cold, warm })
    }

    /// The server asks for one, and is content.
    fn client_certificate(&self) -> Finding {
        let and = match &self.context.entry.proxy_options.client_certificate {
            Some(own) => format!("is shown {}", own.file.display()),
            None => "does without".to_owned(),
        };
        let what = format!("it asks for a client certificate, and {and}");
        Finding::ok(Layer::Tls, what)
    }
}

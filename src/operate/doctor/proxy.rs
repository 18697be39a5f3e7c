//! A KDC proxy, layer by layer.
//!
//! As far as the doctor's own connection gets, it shows more than the daemon's client would. What is in the way the client says
//! best: it is asked in any case, and its fault is told in the words of the log.

use std::time::{Duration, Instant, SystemTime};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{HeaderValue, USER_AGENT};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::RealmContext;
use super::connection;
use super::handshake;
use super::kdc::{
    TimedReply, ask_for_both, empty_change, no_question, of_password_server, question,
};
use super::realm::{Examined, ReplyTimes};
use crate::relay::explain::explain;
use crate::relay::finding::{Figure, Finding, Hint, Layer};
use crate::relay::text::short;
use crate::relay::text::urls::without_secrets;
use crate::relay::upstream::dns::ProxyUrl;
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::kkdcp::{Head, KdcProxy};
use crate::relay::upstream::proxy_options::{ForwardProxy, ProxyOptions};
use crate::relay::upstream::tls::{ClientTls, Presented};
use crate::relay::upstream::tls_errors::words;
use crate::relay::upstream::{ConnReuse, Fault, OUR_USER_AGENT, Outgoing, Unsent};
use crate::wire::{KerberosMessage, Service};

/// Name, connect and TLS together, as the daemon has it.
const CONNECT: Duration = Duration::from_secs(3);
/// What the doctor itself may add to the deadline, discovery included.
const OWN: Duration = Duration::from_millis(4500);

/// What MIT krb5's own client of KDC proxies calls itself.
const MIT: &str = "kerberos/1.0";

/// What there is to find of a proxy.
const LAYERS: [Layer; 8] = [
    Layer::Names,
    Layer::Tcp,
    Layer::Tls,
    Layer::Http,
    Layer::Envelope,
    Layer::Kdc,
    Layer::Clock,
    Layer::Kpasswd,
];

/// A proxy that is looked at.
struct ProxyCheck<'a> {
    context: RealmContext<'a>,
    url: &'a ProxyUrl,
    name: &'a str,
    permitted: &'a Permitted,
    /// Changes of passwords go there.
    takes_changes: bool,
    /// What stands between, if anything does.
    forward: Option<String>,
}

/// What came of a question: the last answer's head, if there was one, and the reply.
type ProxyAnswer = (Option<Head>, Result<TimedReply, Fault>);

/// Looks at the proxy at `url`; how fast it is, if it serves.
pub(super) async fn examine(
    context: RealmContext<'_>,
    (url, takes_changes): (&ProxyUrl, bool),
    permitted: &Permitted,
) -> Examined {
    let name = url.as_url().origin().ascii_serialization();
    let check = ProxyCheck {
        context,
        url,
        name: &name,
        permitted,
        takes_changes,
        forward: forward_proxy(&context.entry.proxy_options.forward_proxy, url),
    };
    let mut found = Vec::new();
    let ended = check.examine(&mut found).await;
    let why = "there was no time left";
    Examined::new(context.asked, name, found, ended, (&LAYERS, why))
}

/// The proxy on the way to `url`, as the daemon's client finds it.
fn forward_proxy(via: &ForwardProxy, url: &ProxyUrl) -> Option<String> {
    match via {
        ForwardProxy::None => None,
        ForwardProxy::Url(proxy) => Some(proxy.to_string()),
        ForwardProxy::Environment => {
            let url = url.as_url().as_str().parse().ok()?;
            Matcher::from_env().intercept(&url)?;
            Some("the proxy of the environment".to_owned())
        }
    }
}

impl ProxyCheck<'_> {
    async fn examine(&self, found: &mut Vec<Finding>) -> Result<ReplyTimes, Finding> {
        let RealmContext { entry, roots, .. } = self.context;
        let extra = entry.ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client(extra, &entry.proxy_options).map_err(|error| {
            Finding::fault(format!("TLS cannot be set up: {}", words(&error)))
                .on(Layer::Tls)
                .hint("install the system's roots (ca-certificates), or set ca-file")
        })?;
        if let Some(forward) = &self.forward {
            let what = format!("{forward} looks them up");
            found.push(Finding::skipped(Layer::Names, what));
        } else {
            self.connect(&tls.config, found).await?;
        }
        if self.url.is_plaintext() {
            let none = Finding::warning("none: everybody on the way reads who asks for what");
            let hint = "write https:// into proxies; allow-plaintext is for tests";
            found.push(none.on(Layer::Tls).hint(hint));
        }
        let (url, permitted) = (self.url.as_url().clone(), self.permitted.clone());
        let client = KdcProxy::new(url, tls.clone(), &entry.proxy_options, permitted);
        let ask = async |service, found: &mut Vec<Finding>| match service {
            Service::Kdc => self.ask(&client, &tls, found).await,
            Service::Kpasswd => self.ask_again(&client, found).await,
        };
        let times = ask_for_both(self.context.asked, found, ask).await?;
        if self.takes_changes && self.context.asked.has_time() {
            found.push(self.change_nothing(&client).await?);
        }
        Ok(times)
    }

    /// Whether the proxy leads to a password server.
    async fn change_nothing(&self, client: &KdcProxy) -> Result<Finding, Finding> {
        let asked = self.context.asked;
        let message = empty_change(asked.realm).map_err(no_question)?;
        let (_, heard) = self
            .post(client, message, ConnReuse::Any, asked.left())
            .await;
        let is_dead = heard.is_err();
        let finding = of_password_server(heard, self.name);
        if !is_dead {
            return Ok(finding);
        }
        let finding =
            finding.hint("ask who runs it to look after the password server (kadmind) of its KDC");
        Ok(finding.hint("if another proxy leads to one, list that: kpasswd-proxies"))
    }

    /// The doctor's own connection, as far as it gets.
    async fn connect(
        &self,
        config: &ClientConfig,
        found: &mut Vec<Finding>,
    ) -> Result<(), Finding> {
        let until = (Instant::now() + CONNECT).min(self.context.asked.began + OWN);
        let left = || until.saturating_duration_since(Instant::now());
        let url = self.url.as_url();
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let place = format!("{host}:{port}");
        let stream = connection::connect(self.name, &place, self.permitted, left(), found).await?;
        if self.url.is_plaintext() {
            return Ok(());
        }
        let host = host.trim_matches(['[', ']']);
        let shaken = timeout(left(), handshake::shake(stream, host, config.clone())).await;
        let late = || explain(&Fault::NotSent(Unsent::ConnectTimeout), self.name);
        found.extend(shaken.map_err(|_| late().on(Layer::Tls))?);
        Ok(())
    }

    /// Asks for a ticket; what was reached on the way, and what is wrong on whatever layer.
    async fn ask(
        &self,
        client: &KdcProxy,
        tls: &ClientTls,
        found: &mut Vec<Finding>,
    ) -> Result<TimedReply, Finding> {
        let limit = self.context.entry.deadline.min(self.context.asked.left());
        let message = question(self.context.asked.realm, Service::Kdc).map_err(no_question)?;
        let posted = self.post(client, message, ConnReuse::Never, limit);
        let (head, reply) = posted.await;
        let presented = tls.presented();
        let is_trusted = !matches!(reply, Err(Fault::NotSent(Unsent::Untrusted(_))));
        let reply = match reply {
            Ok(reply) => Ok(reply),
            Err(fault) => match self.refused_for_its_name(&fault, tls).await {
                Some(refused) => Err(refused),
                None => Err(self.explain(&fault, head.as_ref(), &presented, found)),
            },
        };
        let reached = match &reply {
            Ok(_) => Layer::Kdc,
            Err(fault) => fault.subject.layer.unwrap_or(Layer::Http),
        };
        if let Some(forward) = self.forward.as_ref().filter(|_| reached > Layer::Tcp) {
            let what = format!("{forward} lets it through to the proxy");
            found.push(Finding::ok(Layer::Tcp, what));
        }
        if is_trusted && !presented.certificates.is_empty() {
            found.push(handshake::chain(&presented, SystemTime::now()));
            if !self.context.entry.proxy_options.pins.is_empty() {
                let pinned = "a key of its chain is among the pins";
                found.push(Finding::ok(Layer::Tls, pinned));
            }
        }
        if reached > Layer::Tls && tls.was_certificate_requested() {
            let asks = "it asks for a client certificate, and is content";
            found.push(Finding::ok(Layer::Tls, asks));
        }
        if let Some(head) = head.filter(|_| reached > Layer::Http) {
            found.push(http(&head));
        }
        if reply.is_ok() {
            let what = "a KDC-PROXY-MESSAGE with a reply in it";
            found.push(Finding::ok(Layer::Envelope, what));
        }
        reply
    }

    /// A filter before the proxy takes requests of MIT krb5's, and not those that it has refused by this `fault`.
    async fn refused_for_its_name(&self, fault: &Fault, tls: &ClientTls) -> Option<Finding> {
        let (Fault::Status(status @ (403 | 406), _) | Fault::Page(status)) = *fault else {
            return None;
        };
        let mut options = ProxyOptions::clone(&self.context.entry.proxy_options);
        let headers = &mut options.headers.fixed;
        if headers.iter().any(|(name, _)| *name == USER_AGENT) {
            return None;
        }
        headers.push((USER_AGENT, HeaderValue::from_static(MIT)));
        let (url, permitted) = (self.url.as_url().clone(), self.permitted.clone());
        let client = KdcProxy::new(url, tls.clone(), &options, permitted);
        let limit = self.context.asked.left() / 2;
        let message = question(self.context.asked.realm, Service::Kdc).ok()?;
        let posted = self.post(&client, message, ConnReuse::Never, limit);
        let (_, reply) = posted.await;
        reply.ok()?;
        let what = format!("it refuses requests by their User-Agent, {OUR_USER_AGENT}");
        let refused = Finding::fault(what).on(Layer::Http);
        let refused = refused.figure(Figure::Status(status));
        let refused =
            refused.hint("have requests call themselves as MIT krb5's do, beside what headers has");
        Some(refused.hint(Hint::key(format!("headers = [\"User-Agent: {MIT}\"]"))))
    }

    /// Asks for the ticket that a change of the password takes, over the same connection if it is still there.
    async fn ask_again(
        &self,
        client: &KdcProxy,
        found: &mut Vec<Finding>,
    ) -> Result<TimedReply, Finding> {
        let asked = self.context.asked;
        let message = question(asked.realm, Service::Kpasswd).map_err(no_question)?;
        let ask = |reuse| self.post(client, message.clone(), reuse, asked.left() / 2);
        let (_, mut reply) = ask(ConnReuse::Any).await;
        // That says no more than that a server closes its connections early, which the daemon makes up for.
        if let Err(
            Fault::ReusedConnectionClosed | Fault::NotSent(Unsent::Ended | Unsent::HandedBack),
        ) = reply
        {
            (_, reply) = ask(ConnReuse::Never).await;
        }
        if client.has_closed_unsaid() {
            let closes = "it closes connections right after an answer, and does not say so";
            found.push(
                Finding::warning(closes)
                    .on(Layer::Http)
                    .hint("the first login after a start may fail; each one after it takes a connection of its own")
                    .hint("ask who runs it to have it say so: under uWSGI with --add-header 'Connection: close'"),
            );
        }
        reply.map_err(|fault| explain(&fault, self.name))
    }

    async fn post(
        &self,
        client: &KdcProxy,
        message: KerberosMessage,
        reuse: ConnReuse,
        limit: Duration,
    ) -> ProxyAnswer {
        let RealmContext { asked, entry, .. } = self.context;
        let realm = asked.realm.as_str();
        let target = entry.target_domain.as_deref().unwrap_or(realm);
        let outgoing = Outgoing {
            target_domain: target.to_owned(),
            dclocator_hint: entry.dclocator_hint,
            ..Outgoing::new(message, reuse)
        };
        let (mut head, sent) = (None, outgoing.sent.clone());
        let sending = client.send(outgoing, |seen| head = Some(Head::of(seen)));
        let reply = TimedReply::wait(limit, &sent, sending).await;
        (head, reply)
    }

    /// The fault of the daemon's client, with what the answer and the certificates show besides.
    fn explain(
        &self,
        fault: &Fault,
        head: Option<&Head>,
        presented: &Presented,
        found: &[Finding],
    ) -> Finding {
        let mut finding = explain(fault, self.name);
        // Not below what the doctor's own connection has got to.
        let is_connected = |finding: &Finding| finding.subject.layer == Some(Layer::Tcp);
        if found.iter().any(is_connected) {
            finding.subject.layer = finding.subject.layer.max(Some(Layer::Tls));
        }
        if let Fault::NotSent(Unsent::Untrusted(why)) = fault {
            let host = self.url.as_url().host_str().unwrap_or_default();
            let table = self.context.table();
            let now = SystemTime::now();
            finding = handshake::untrusted(finding, *why, presented, (host, &table), now);
        }
        if let Some(to) = head.and_then(|head| head.leads_to.as_ref()) {
            let what = format!("{}, to {}", finding.what, short(to, 80));
            finding = finding.reworded(what);
        }
        if head.is_some_and(|head| head.slash_is_missing) {
            let url = format!("\"{}/\"", self.url);
            let hint = format!("write {} into proxies", without_secrets(&url));
            finding.hints = vec![hint.into()];
        }
        finding
    }
}

fn http(head: &Head) -> Finding {
    let server = match &head.server {
        Some(server) => format!("server {}", short(server, 40)),
        None => "no server's name".to_owned(),
    };
    let finding = Finding::ok(Layer::Http, format!("{}, {server}", head.version));
    finding.figure(Figure::Status(head.status))
}

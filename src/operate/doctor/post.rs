//! One question to a KDC proxy, by the daemon's own way, and what its answer shows of HTTP and of the envelope.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::as_req::{self, Target};
use super::kdc_reply::Heard;
use super::line::{Figure, Layer, Line};
use crate::relay::advice::{self, Upstream};
use crate::relay::sync::lock;
use crate::relay::text::short;
use crate::relay::upstream::kkdcp::{Head, KdcProxy, Post};
use crate::relay::upstream::{Bar, Connection, Credential, Fault, Sent, Unsent};
use crate::wire::{Realm, kkdcp};

/// Whom a question is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address<'a> {
    pub(super) realm: &'a Realm,
    /// What the proxy is told that it is for ([MS-KKDCP] 2.2.2).
    pub(super) domain: &'a str,
    /// What it is told about the KDC that is wanted ([MS-KKDCP] 2.2.2).
    pub(super) hint: Option<u32>,
}

/// What came of a question.
#[derive(Debug)]
pub(super) struct Asked {
    /// The last answer's head, if there was one.
    pub(super) head: Option<Head>,
    pub(super) end: Result<Heard, Fault>,
}

/// Asks `proxy` for a ticket for `target` in nobody's name.
pub(super) async fn ask(
    proxy: &KdcProxy,
    address: Address<'_>,
    target: Target,
    connection: Connection,
    within: Duration,
) -> Asked {
    let Ok(message) = as_req::new(address.realm, target) else {
        let end = Err(Fault::NotKerberos("no question can be written"));
        return Asked { head: None, end };
    };
    let envelope = kkdcp::encode_request(&message.framed(), address.domain, address.hint);
    let head = Mutex::new(None);
    let seen = |answer: Head| *lock(&head) = Some(answer);
    let post = Post {
        message,
        envelope: envelope.into(),
        connection,
        sent: Sent::default(),
    };
    let asked = SystemTime::now();
    let end = timeout(within, proxy.probe(post, seen)).await;
    let came = SystemTime::now();
    let heard = |reply| Heard { reply, asked, came };
    Asked {
        end: end.unwrap_or(Err(Fault::Silent)).map(heard),
        head: lock(&head).take(),
    }
}

impl Asked {
    /// The lines on HTTP and on the envelope; and one on whatever layer is at fault.
    pub(super) fn lines(&self, upstream: Upstream<'_>) -> Vec<Line> {
        let fault = self.end.as_ref().err();
        let faulty = fault.map(layer);
        let mut lines = Vec::new();
        if let Some(head) = self.head.as_ref().filter(|_| faulty != Some(Layer::Http)) {
            lines.push(http(head));
        }
        if faulty.is_none_or(|faulty| faulty > Layer::Envelope) && self.has_envelope() {
            lines.push(Line::ok(
                Layer::Envelope,
                "a KDC-PROXY-MESSAGE with a reply in it",
            ));
        }
        if let Some(fault) = fault {
            let line = self.fault(fault, upstream);
            lines.push(line);
        }
        lines
    }

    /// Whether it says nothing but that a server closes its connections early, which the daemon makes up for.
    pub(super) fn was_over_a_closed_connection(&self) -> bool {
        use Unsent::{Ended, HandedBack};
        matches!(
            self.end,
            Err(Fault::Stale | Fault::NotSent(Ended | HandedBack))
        )
    }

    /// Whether there was a reply, good or not.
    fn has_envelope(&self) -> bool {
        matches!(self.end, Ok(_) | Err(Fault::NotServed | Fault::Repeat))
    }

    fn fault(&self, fault: &Fault, upstream: Upstream<'_>) -> Line {
        let advice = advice::on(fault, upstream);
        let mut what = advice.what;
        let head = self.head.as_ref();
        if let Some(to) = head.and_then(|head| head.leads_to.as_ref()) {
            what = format!("{what}, to {}", short(to, 80));
        }
        let hint = advice.hint.unwrap_or_else(|| {
            format!(
                "see what another client makes of it: {}",
                advice::probe(upstream)
            )
        });
        let line = Line::fault(layer(fault), what, hint);
        match (fault, head) {
            (Fault::Status(status) | Fault::Page(status), _) => {
                line.figure(Figure::Status(*status))
            }
            (_, Some(head)) if layer(fault) == Layer::Http => {
                line.figure(Figure::Status(head.status))
            }
            _ => line,
        }
    }
}

fn http(head: &Head) -> Line {
    let server = head.server.as_ref();
    let server = server.map_or_else(
        || "no server's name".to_owned(),
        |server| format!("server {}", short(server, 40)),
    );
    let line = Line::ok(Layer::Http, format!("{}, {server}", head.version));
    line.figure(Figure::Status(head.status))
}

/// Where the fault is.
fn layer(fault: &Fault) -> Layer {
    match fault {
        Fault::NotSent(Unsent::Untrusted(_)) | Fault::Uncertified => Layer::Tls,
        Fault::NotSent(Unsent::Barred { bar, .. }) => match bar {
            Bar::Unreachable | Bar::Refused | Bar::Password | Bar::OtherPassword => Layer::Tcp,
        },
        Fault::NotSent(Unsent::Connect(_) | Unsent::ConnectTimeout) => Layer::Tcp,
        Fault::NotSent(_) => Layer::Http,
        Fault::Wants(Credential::Certificate | Credential::OtherCertificate) => Layer::Tls,
        Fault::Wants(_) => Layer::Http,
        // What kdcproxy and others say when no KDC answers them.
        Fault::Status(502..=504) | Fault::NotServed | Fault::Repeat => Layer::Kdc,
        Fault::NotKerberos(what) => match *what {
            "no KDC-PROXY-MESSAGE" | "an empty answer" | "no Kerberos reply inside" => {
                Layer::Envelope
            }
            what if what == crate::relay::upstream::OVERSIZED => Layer::Envelope,
            _ => Layer::Http,
        },
        Fault::Status(_)
        | Fault::Page(_)
        | Fault::Stale
        | Fault::Dropped
        | Fault::Unanswered
        | Fault::Silent => Layer::Http,
    }
}

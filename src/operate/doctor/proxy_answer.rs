//! One question to a KDC proxy, by the daemon's own way, and what its answer shows of HTTP and of the envelope.

use std::time::Duration;

use super::RealmContext;
use super::kdc::{TimedReply, question};
use crate::relay::explain::{UpstreamRef, explain, layer, probe};
use crate::relay::finding::{Figure, Finding, Layer};
use crate::relay::text::short;
use crate::relay::upstream::kkdcp::{Head, KdcProxy};
use crate::relay::upstream::{ConnReuse, Credential, Fault, Outgoing, SendState, Unsent};
use crate::wire::Service;

/// What came of a question.
#[derive(Debug)]
pub(super) struct ProxyAnswer {
    /// The last answer's head, if there was one.
    head: Option<Head>,
    pub(super) reply: Result<TimedReply, Fault>,
}

/// Asks `proxy` for a ticket for `service` in nobody's name.
pub(super) async fn ask(
    context: RealmContext<'_>,
    proxy: &KdcProxy,
    service: Service,
    reuse: ConnReuse,
    limit: Duration,
) -> Option<ProxyAnswer> {
    let message = question(context.realm, service)?;
    let (domain, hint) = (context.target_domain(), context.entry.dclocator_hint);
    let outgoing = Outgoing {
        message,
        target_domain: domain.to_owned(),
        dclocator_hint: hint,
        reuse,
        sent: SendState::default(),
        others: false,
    };
    let mut head = None;
    let reply = TimedReply::wait(
        limit,
        proxy.send(outgoing, |seen| head = Some(Head::of(seen))),
    )
    .await;
    Some(ProxyAnswer { head, reply })
}

impl ProxyAnswer {
    /// What it shows of HTTP and of the envelope; and what is wrong on whatever layer.
    pub(super) fn findings(&self, upstream: UpstreamRef<'_>) -> Vec<Finding> {
        let fault = self.reply.as_ref().err();
        let faulty = fault.map(layer);
        let mut findings = Vec::new();
        if let Some(head) = self.head.as_ref().filter(|_| faulty != Some(Layer::Http)) {
            findings.push(http(head));
        }
        // There was a reply, good or not.
        if matches!(fault, None | Some(Fault::NotServed | Fault::Repeat)) {
            let what = "a KDC-PROXY-MESSAGE with a reply in it";
            findings.push(Finding::ok(Layer::Envelope, what));
        }
        findings.extend(fault.map(|fault| self.fault(fault, upstream)));
        findings
    }

    /// Whether it says nothing but that a server closes its connections early, which the daemon makes up for.
    pub(super) fn was_over_a_closed_connection(&self) -> bool {
        use Unsent::{Ended, HandedBack};
        matches!(
            self.reply,
            Err(Fault::ReusedConnectionClosed | Fault::NotSent(Ended | HandedBack))
        )
    }

    /// Whether the proxy asks for a client certificate, and that is why there is no reply.
    pub(super) fn wants_certificate(&self) -> bool {
        use Credential::{Certificate, OtherCertificate};
        matches!(
            self.reply,
            Err(Fault::ClosedAfterCertificateRequest
                | Fault::AuthenticationRequired(Certificate | OtherCertificate))
        )
    }

    fn fault(&self, fault: &Fault, upstream: UpstreamRef<'_>) -> Finding {
        let mut finding = explain(fault, upstream);
        if let Some(to) = self.head.as_ref().and_then(|head| head.leads_to.as_ref()) {
            finding.what = format!("{}, to {}", finding.what, short(to, 80));
        }
        if finding.hints.is_empty() {
            finding = finding
                .hint("see what another client makes of it")
                .hint(probe(upstream));
        }
        match &self.head {
            Some(head) if finding.figure.is_none() && layer(fault) == Layer::Http => {
                finding.figure(Figure::Status(head.status))
            }
            _ => finding,
        }
    }
}

fn http(head: &Head) -> Finding {
    let server = head.server.as_ref();
    let server = server.map_or_else(
        || "no server's name".to_owned(),
        |server| format!("server {}", short(server, 40)),
    );
    let finding = Finding::ok(Layer::Http, format!("{}, {server}", head.version));
    finding.figure(Figure::Status(head.status))
}

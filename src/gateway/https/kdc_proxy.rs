//! A POST to the KDC proxy ([MS-KKDCP] 3.2.5.1): what it is answered with, and what its client is charged for it.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use super::budget::RequestSlot;
use super::handler::{ConnContext, HandlerResult};
use super::responses::{self, ErrorResponse};
use super::timeouts::RequestGuard;
use crate::daemon::panics;
use crate::gateway::observers::ObservedRequest;
use crate::gateway::throttle::Client;
use crate::relay::answer::{Answer, Answered, Source};
use crate::relay::exchange::Arrival;
use crate::wire::krb_error::{KDC_ERR_CLIENT_REVOKED, KDC_ERR_PREAUTH_FAILED};
use crate::wire::proxied::{self, Proxied, Unproxied};
use crate::wire::{KerberosMessage, Kind, Realm, RealmKey, Resend};

impl ConnContext {
    /// Reads and answers a request that may be relayed.
    pub(super) async fn kdc_proxy(
        &self,
        request: Request<Incoming>,
        client: Client,
        mut guard: RequestGuard,
        observed: &mut ObservedRequest<'_>,
    ) -> HandlerResult {
        let (exchange, counters) = (&self.state.exchange, self.state.exchange.counters());
        let body = self.body(request).await;
        let (body, permit) = body.inspect_err(|refusal| match refusal.status {
            StatusCode::PAYLOAD_TOO_LARGE => counters.too_long.add(),
            StatusCode::SERVICE_UNAVAILABLE => counters.overloaded.add(),
            _ => counters.refused.add(),
        })?;
        guard.set_whole();
        let proxied = self.parse(&body)?;
        // The message is a copy out of it.
        drop(body);
        let inside = self.other_realm(&proxied);
        observed.set_message(&proxied.message, inside.as_ref(), exchange);
        let in_flight = self.state.options.throttle.begin(&client);
        let slot = RequestSlot {
            _octets: permit,
            _in_flight: in_flight.map_err(|wait| self.throttled(wait))?,
        };
        let had_length = proxied.had_length;
        let answered = self.answer(proxied, inside, slot, client).await?;
        observed.set_answer(&answered);
        match answered.answer {
            Answer::Reply(reply) => {
                let message = proxied::answer(reply.bytes(), had_length);
                Ok(responses::reply(message))
            }
            Answer::Verdict(verdict) => Err(ErrorResponse::from(&verdict)),
        }
    }

    fn parse(&self, body: &[u8]) -> Result<Proxied, ErrorResponse> {
        let counters = self.state.exchange.counters();
        proxied::read(body).map_err(|error| {
            let refusal = ErrorResponse::new(StatusCode::BAD_REQUEST, error.to_string());
            if let Unproxied::KerbMessage(_) = error {
                counters.not_kerberos.add();
                // [MS-KKDCP] 3.2.5.1 has it dropped; that nothing else comes over this connection is near to that.
                refusal.closing()
            } else {
                counters.refused.add();
                refusal
            }
        })
    }

    /// The realm inside, where that is another than the target-domain's. The KDC judges it ([MS-KKDCP] 3.2.5.1); whoever
    /// runs the gateway may want to know.
    fn other_realm(&self, proxied: &Proxied) -> Option<Realm> {
        let (exchange, domain) = (&self.state.exchange, proxied.message.realm());
        let inside = proxied.other_realm.as_ref();
        let inside = inside.filter(|inside| !exchange.is_same_realm(inside, domain))?;
        exchange.counters().other_realm.add();
        Some(inside.clone())
    }

    /// Relays the message, unless too many of this client's passwords were wrong and this is another.
    async fn answer(
        &self,
        proxied: Proxied,
        inside: Option<Realm>,
        slot: RequestSlot,
        client: Client,
    ) -> Result<Answered, ErrorResponse> {
        let arrival = Arrival {
            primary: proxied.wants_primary(),
            ..Arrival::now(self.peer.transport)
        };
        let message = proxied.message;
        self.check_inside(&message, inside.as_ref())?;
        let is_login = message.kind() == Kind::AsReq && message.resend() == Resend::Once;
        let stake = if is_login {
            let realm = self.charged_realm(message.realm(), inside.as_ref());
            let admitted = self
                .state
                .options
                .throttle
                .admit_login(&client, &realm, Instant::now());
            Some(admitted.map_err(|wait| self.throttled(wait))?)
        } else {
            None
        };
        let answered = self.relay(message, arrival, slot, move |answered| {
            // A copy is the same password once more.
            let is_new = answered.source != Source::RetransmitCache;
            let is_failure = is_new && is_wrong_password(&answered.answer);
            // What had nothing at stake tried none: a KDC tells of a locked account without one, too.
            if let Some(stake) = stake
                && !is_failure
            {
                stake.give_back(Instant::now());
            }
        });
        answered.await
    }

    /// Realms may share their KDCs, which go by the realm inside: what is not offered of that is not to be had under the name
    /// of another.
    fn check_inside(
        &self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
    ) -> Result<(), ErrorResponse> {
        let withheld = inside.and_then(|inside| self.state.exchange.withheld(message, inside));
        withheld.map_or(Ok(()), |verdict| Err(ErrorResponse::from(&verdict)))
    }

    /// The realm whose passwords are tried: the one inside, of those that are configured.
    fn charged_realm(&self, domain: &Realm, inside: Option<&Realm>) -> RealmKey {
        let configured = |realm| self.state.exchange.configured(realm);
        let realm = inside.and_then(configured).or_else(|| configured(domain));
        realm.as_ref().unwrap_or(domain).key()
    }

    /// Relays in a task of its own. `settle` also gets an answer that no client waits for any more: its password was tried and
    /// its octets are held all the same.
    async fn relay(
        &self,
        message: KerberosMessage,
        arrival: Arrival,
        slot: RequestSlot,
        settle: impl FnOnce(&Answered) + Send + 'static,
    ) -> Result<Answered, ErrorResponse> {
        let state = Arc::clone(&self.state);
        let (tasks, exchange) = (&self.state.tasks.tracker, &self.state.exchange);
        let relayed = panics::spawn_catching(tasks, exchange, async move {
            let answered = state.exchange.answer(message, arrival).await;
            settle(&answered);
            drop(slot);
            answered
        });
        let dropped = || {
            let text = "the request was dropped";
            ErrorResponse::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        };
        relayed.await.ok().flatten().ok_or_else(dropped)
    }
}

/// A KDC said that the password was wrong, or that there were too many wrong ones.
fn is_wrong_password(answer: &Answer) -> bool {
    let Answer::Reply(reply) = answer else {
        return false;
    };
    matches!(
        reply.error_code(),
        Some(KDC_ERR_PREAUTH_FAILED | KDC_ERR_CLIENT_REVOKED)
    )
}

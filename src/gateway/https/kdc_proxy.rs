//! A POST to the KDC proxy ([MS-KKDCP] 3.2.5.1): what it is answered with, and what its client is charged for it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::StatusCode;

use super::handler::{ConnContext, HandlerResult, HeldRequest};
use super::login::Login;
use super::responses::{self, ErrorResponse};
use crate::daemon::panics;
use crate::gateway::access::Grant;
use crate::gateway::observers::ObservedRequest;
use crate::gateway::policy;
use crate::gateway::throttle::Client;
use crate::relay::answer::{Answer, Answered};
use crate::relay::exchange::Arrival;
use crate::relay::shares::when_silent;
use crate::wire::proxied::{self, Proxied, Unproxied};
use crate::wire::{KerberosMessage, Kind, OuterName, Realm, Reply, Resend};

impl ConnContext {
    /// Answers the body of a request that may be relayed.
    pub(super) async fn kdc_proxy(
        &self,
        body: Bytes,
        arrival: Arrival,
        held: HeldRequest,
        client: Client,
        grant: Option<&Grant>,
        observed: &mut ObservedRequest<'_>,
    ) -> HandlerResult {
        let exchange = &self.state.exchange;
        let proxied = self.parse(body)?;
        let inside = self.other_realm(&proxied);
        let arrival = Arrival {
            primary: proxied.wants_primary(),
            rediscover: proxied.forces_rediscovery(),
            ..arrival
        };
        let Proxied {
            message,
            had_length,
            ..
        } = proxied;
        observed.set_message(&message, inside.as_ref(), exchange);
        self.validate(&message)?;
        self.check_realms(&message, inside.as_ref(), grant)?;
        let refusal = self.refusal(&message, inside.as_ref(), observed);
        if let Some(error) = refusal {
            let message = proxied::answer(&error, had_length);
            return Ok(responses::reply(message));
        }
        let login = self.login(&message, inside.as_ref(), client, arrival.at);
        let login = login.await?;
        let relayed = self.relay(message, arrival, login, held);
        let (answered, instead) = relayed.await?;
        observed.set_answer(&answered);
        match answered.answer {
            Answer::Reply(reply) => {
                let reply = instead.unwrap_or(reply);
                let message = proxied::answer(reply.bytes(), had_length);
                Ok(responses::reply(message))
            }
            Answer::Verdict(verdict) => Err(ErrorResponse::from(&verdict)),
        }
    }

    /// The message, which is a part of the body: its octets are accounted for as long as anybody holds it.
    fn parse(&self, body: Bytes) -> Result<Proxied, ErrorResponse> {
        let counters = self.state.exchange.counters();
        proxied::read(&body).map_err(|error| {
            let refusal = ErrorResponse::new(StatusCode::BAD_REQUEST, error.to_string());
            if let Unproxied::KerbMessage(_) = error {
                self.dropped(refusal)
            } else {
                counters.refused.add();
                refusal
            }
        })
    }

    /// Only valid messages are relayed ([MS-KKDCP] 5.1).
    fn validate(&self, message: &KerberosMessage) -> Result<(), ErrorResponse> {
        if !self.state.options.is_strict {
            return Ok(());
        }
        message.validate().map_err(|invalid| {
            let text = format!("the kerb-message is no valid {}: {invalid}", message.kind());
            self.dropped(ErrorResponse::new(StatusCode::BAD_REQUEST, text))
        })
    }

    /// [MS-KKDCP] 3.2.5.1 has what is no Kerberos message dropped; that nothing else comes over this connection is near to
    /// that.
    fn dropped(&self, refusal: ErrorResponse) -> ErrorResponse {
        self.state.exchange.counters().not_kerberos.add();
        refusal.closing()
    }

    /// The realm inside, where that is another than the target-domain's, which whoever runs the gateway may want to know.
    fn other_realm(&self, proxied: &Proxied) -> Option<Realm> {
        let (exchange, domain) = (&self.state.exchange, proxied.message.realm());
        let inside = proxied.other_realm.as_ref();
        let inside = inside.filter(|inside| !exchange.is_same_realm(inside, domain))?;
        exchange.counters().other_realm.add();
        Some(inside.clone())
    }

    /// The KRB-ERROR that refuses a message by the policy of its realm, if it does.
    fn refusal(
        &self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
        observed: &mut ObservedRequest<'_>,
    ) -> Option<Bytes> {
        let policies = &self.state.options.policies;
        let key = policies.borrow().refusal(message, inside)?;
        self.state.exchange.counters().refused_by_policy.add();
        observed.set_refusal(key);
        Some(policy::refused(message.realm(), key, SystemTime::now()).into())
    }

    /// The login that `message` belongs to, unless too many of this client's failed; none for what is no AS-REQ. The first
    /// AS-REQ of a login tries no password, and asks if there is somebody of a name.
    async fn login(
        &self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
        client: Client,
        at: Instant,
    ) -> Result<Option<Login>, ErrorResponse> {
        if message.kind() != Kind::AsReq {
            return Ok(None);
        }
        // The one inside is whose principals are tried, even if it is not configured: it goes by the KDC.
        let realm = inside.unwrap_or(message.realm());
        let configured = self.state.exchange.configured(realm);
        let realm = configured.as_ref().unwrap_or(realm).key();
        let throttle = &self.state.options.throttle;
        let throttled = |wait| {
            self.state.exchange.counters().throttled.add();
            ErrorResponse::throttled(wait)
        };
        // What tries no password can't have tried a wrong one.
        let is_guess = message.resend() == Resend::Once;
        let outline = is_guess.then(|| message.outline()).flatten();
        let name = match outline.map(|outline| outline.client) {
            Some(OuterName::Text(name)) if name != policy::ANONYMOUS => Some(name),
            // Whose a KDC takes them for is not known: they are bounded together.
            Some(OuterName::Unreadable) => Some(String::new()),
            _ => None,
        };
        let of_principal = match name {
            Some(name) => {
                let stake = throttle.stake_of_principal(&client, &realm, &name, at);
                Some(stake.await.map_err(throttled)?)
            }
            None => None,
        };
        let stake = throttle.stake(&client, &realm, at).await;
        let policies = &self.state.options.policies;
        Ok(Some(Login {
            stake: stake.map_err(throttled)?,
            of_principal,
            client,
            realm,
            message: message.clone(),
            hides_unknown: policies.borrow().hides_unknown(message.realm()),
        }))
    }

    /// Relays, and goes on if no client waits for the answer any more: its password was tried, and its turn is `held`, all the
    /// same. On what a KDC is silent for a second the others of its client don't wait: it goes on at the cost of its place there.
    /// With the answer comes what is told instead of it.
    async fn relay(
        &self,
        message: KerberosMessage,
        arrival: Arrival,
        mut login: Option<Login>,
        held: HeldRequest,
    ) -> Result<(Answered, Option<Reply>), ErrorResponse> {
        let state = Arc::clone(&self.state);
        let tasks = &self.state.tasks.tracker;
        let relayed = panics::run_catching(tasks, &self.state.exchange, async move {
            let mut held = Some(held);
            let answer = pin!(state.exchange.answer(message, arrival));
            let answered = when_silent(answer, || {
                held = None;
                login.iter_mut().for_each(Login::met_silence);
            });
            let answered = answered.await;
            let instead = login.and_then(|login| login.settle(&answered, &state));
            drop(held);
            (answered, instead)
        });
        let dropped = || {
            let text = "the request was dropped";
            ErrorResponse::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        };
        relayed.await.ok_or_else(dropped)
    }
}

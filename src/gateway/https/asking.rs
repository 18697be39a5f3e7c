//! What a request that was understood is answered with, and what its client is charged for it.

use std::sync::Arc;

use hyper::StatusCode;

use super::observed::Observed;
use super::receiving::Place;
use super::request::{Conversation, Said};
use super::words::{self, Refusal};
use crate::daemon::panics;
use crate::gateway::throttle::{Client, Throttle};
use crate::relay::answer::{Answer, Answered, Source};
use crate::relay::exchange::Arrival;
use crate::wire::krb_error::{KDC_ERR_CLIENT_REVOKED, KDC_ERR_PREAUTH_FAILED};
use crate::wire::proxied::{self, Proxied};
use crate::wire::{KerberosMessage, Kind, Realm, RealmKey, Resend};

impl Conversation {
    /// Asks, unless too many of this client's passwords were wrong and this is another. `inside` is the realm inside, where
    /// that is another than the target-domain's.
    pub(super) async fn answer(
        &self,
        proxied: Proxied,
        inside: Option<Realm>,
        place: Place,
        client: Client,
        observed: &mut Observed,
    ) -> Said {
        let arrival = Arrival {
            primary: proxied.wants_primary(),
            ..Arrival::now(self.peer.transport)
        };
        let (message, had_length) = (proxied.message, proxied.had_length);
        self.check_inside(&message, inside.as_ref())?;
        let is_login = message.kind() == Kind::AsReq && message.resend() == Resend::Once;
        let stake = if is_login {
            let realm = self.charged(message.realm(), inside.as_ref());
            let admitted = self.site.terms.throttle.admit_login(&client, &realm);
            Some(admitted.map_err(|wait| self.throttled(wait))?)
        } else {
            None
        };
        let answered = self.ask(message, arrival, place, move |throttle, answered| {
            // A copy is the same password once more.
            let is_new = answered.source != Source::Lookaside;
            let is_failure = is_new && is_wrong(&answered.answer);
            // What had nothing at stake tried none: a KDC tells of a locked account without one, too.
            if let Some(stake) = stake
                && !is_failure
            {
                throttle.give_back(stake);
            }
        });
        let answered = answered.await?;
        observed.hears(&answered);
        match answered.answer {
            Answer::Reply(reply) => Ok(words::reply(proxied::answer(reply.bytes(), had_length))),
            Answer::Verdict(verdict) => Err(Refusal::from(&verdict)),
        }
    }

    /// Realms may share their KDCs, which go by the realm inside: what is not offered of that is not to be had under the name
    /// of another.
    fn check_inside(
        &self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
    ) -> Result<(), Refusal> {
        let withheld = inside.and_then(|inside| self.site.exchange.withheld(message, inside));
        withheld.map_or(Ok(()), |verdict| Err(Refusal::from(&verdict)))
    }

    /// The realm whose passwords are tried: the one inside, of those that are configured.
    fn charged(&self, domain: &Realm, inside: Option<&Realm>) -> RealmKey {
        let configured = |realm| self.site.exchange.configured(realm);
        let realm = inside.and_then(configured).or_else(|| configured(domain));
        realm.as_ref().unwrap_or(domain).key()
    }

    /// Asks in a task of its own, which also sees the answer that no client waits for any more: its password was tried and
    /// its octets are held all the same.
    async fn ask(
        &self,
        message: KerberosMessage,
        arrival: Arrival,
        place: Place,
        see: impl FnOnce(&Throttle, &Answered) + Send + 'static,
    ) -> Result<Answered, Refusal> {
        let site = Arc::clone(&self.site);
        let (tasks, exchange) = (&self.site.tasks, &self.site.exchange);
        let asked = panics::spawn_catching(tasks, exchange, async move {
            let answered = site.exchange.answer(message, arrival).await;
            see(&site.terms.throttle, &answered);
            drop(place);
            answered
        });
        let dropped = || {
            let text = "the request was dropped";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
        };
        asked.await.ok().flatten().ok_or_else(dropped)
    }
}

/// Whether a KDC said that the password was wrong, or that there were too many of them.
fn is_wrong(answer: &Answer) -> bool {
    let Answer::Reply(reply) = answer else {
        return false;
    };
    matches!(
        reply.error_code(),
        Some(KDC_ERR_PREAUTH_FAILED | KDC_ERR_CLIENT_REVOKED)
    )
}

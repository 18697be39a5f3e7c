//! What an AS-REQ has at stake: a login that fails, and a name that turns out not to exist, cost their client one of a few.

use std::time::Instant;

use super::GatewayState;
use crate::gateway::throttle::{Client, Stake};
use crate::relay::answer::{Answer, Answered, Source};
use crate::relay::exchange::Exchange;
use crate::wire::krb_error::{
    KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_CLIENT_REVOKED, KDC_ERR_PREAUTH_FAILED,
};
use crate::wire::{KerberosMessage, Realm, RealmKey, Reply, Resend};

/// An AS-REQ under way.
pub(super) struct Login {
    /// What it costs if it is [settled](Self::settle) as one that failed.
    pub(super) stake: Stake,
    /// And its principal, unless FAST hides that.
    pub(super) of_principal: Option<Stake>,
    pub(super) client: Client,
    /// Whose principals are asked about.
    pub(super) realm: RealmKey,
    pub(super) message: KerberosMessage,
    /// Nobody is told whose name is nobody's.
    pub(super) hides_unknown: bool,
}

impl Login {
    /// Takes what was at stake, if its client is told that the password was wrong, that there were too many wrong ones, or that there
    /// is nobody of this name. Returns what it is told, where that is not what the KDC said.
    pub(super) fn settle(self, answered: &Answered, state: &GatewayState) -> Option<Reply> {
        let Answer::Reply(reply) = &answered.answer else {
            return None;
        };
        let instead = self.hidden(reply, state);
        // A copy is the same guess once more.
        if answered.source != Source::RetransmitCache {
            self.charge(instead.as_ref().unwrap_or(reply), state);
        }
        instead
    }

    /// The KDC is silent. A password may still turn out to be wrong.
    pub(super) fn met_silence(&mut self) {
        if self.message.resend() == Resend::Harmless {
            self.stake.release();
        }
    }

    /// What is told instead of `reply`, if that is not to be told.
    fn hidden(&self, reply: &Reply, state: &GatewayState) -> Option<Reply> {
        // Under FAST it is sealed (RFC 6113 5.4.4).
        let message = &self.message;
        if !self.hides_unknown || message.outline()?.is_armored {
            return None;
        }
        state.unknown.learn(message, reply);
        let is_unknown = is_unknown_client(message, reply, &state.exchange);
        let instead = is_unknown.then(|| state.unknown.imitate(message, reply));
        instead.flatten()
    }

    fn charge(self, reply: &Reply, state: &GatewayState) {
        let (exchange, throttle) = (&state.exchange, &state.options.throttle);
        let (now, is_guess) = (Instant::now(), self.message.resend() == Resend::Once);
        match reply.error_code() {
            // A KDC tells of a locked account without a password, too.
            Some(KDC_ERR_PREAUTH_FAILED | KDC_ERR_CLIENT_REVOKED) if is_guess => {
                let stakes = std::iter::once(self.stake).chain(self.of_principal);
                stakes.for_each(|stake| stake.lose(now));
            }
            None if is_guess => self.of_principal.into_iter().for_each(Stake::win),
            _ if is_unknown_client(&self.message, reply, exchange) => {
                let name = self.message.client_name();
                let name = name.as_deref();
                if throttle.is_new_name(&self.client, &self.realm, name, now) {
                    self.stake.lose(now);
                }
            }
            _ => {}
        }
    }
}

/// The KDC knows nobody of the name in `message`, and does not say that another realm may (RFC 6806 7).
pub(super) fn is_unknown_client(
    message: &KerberosMessage,
    reply: &Reply,
    exchange: &Exchange,
) -> bool {
    let is_here = |realm: Realm| exchange.is_same_realm(&realm, message.realm());
    reply.error_code() == Some(KDC_ERR_C_PRINCIPAL_UNKNOWN)
        && reply.client_realm().is_none_or(is_here)
}

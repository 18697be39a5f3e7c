//! What an AS-REQ has at stake: a login that fails, and a name that turns out not to exist, cost their client one of a few.

use std::time::Instant;

use crate::gateway::throttle::{Client, Stake, Throttle};
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
}

impl Login {
    /// Takes what was at stake, if a KDC said that the password was wrong, that there were too many wrong ones, or that there is
    /// nobody of this name.
    pub(super) fn settle(self, answered: &Answered, exchange: &Exchange, throttle: &Throttle) {
        // A copy is the same guess once more.
        let is_copy = answered.source == Source::RetransmitCache;
        let (Answer::Reply(reply), false) = (&answered.answer, is_copy) else {
            return;
        };
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

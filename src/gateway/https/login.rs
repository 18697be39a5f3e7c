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
    pub(super) client: Client,
    /// Whose principals are asked about.
    pub(super) realm: RealmKey,
    pub(super) message: KerberosMessage,
}

impl Login {
    /// Takes what was at stake, if the answer says that the login failed.
    pub(super) fn settle(self, answered: &Answered, exchange: &Exchange, throttle: &Throttle) {
        // A copy is the same guess once more.
        let is_copy = answered.source == Source::RetransmitCache;
        let now = Instant::now();
        let failed = match &answered.answer {
            Answer::Reply(reply) if !is_copy => self.has_failed(reply, exchange, throttle, now),
            _ => false,
        };
        if failed {
            self.stake.lose(now);
        }
    }

    /// A KDC said that the password was wrong, that there were too many wrong ones, or that there is nobody of this name.
    fn has_failed(
        &self,
        reply: &Reply,
        exchange: &Exchange,
        throttle: &Throttle,
        now: Instant,
    ) -> bool {
        match reply.error_code() {
            // A KDC tells of a locked account without a password, too.
            Some(KDC_ERR_PREAUTH_FAILED | KDC_ERR_CLIENT_REVOKED) => {
                self.message.resend() == Resend::Once
            }
            _ if is_unknown_client(&self.message, reply, exchange) => {
                let name = self.message.client_name();
                throttle.is_new_name(&self.client, &self.realm, name.as_deref(), now)
            }
            _ => false,
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

//! What the users of this machine share of what a gateway grants it: the gateway sees one client, and cannot tell its users apart.
//!
//! One user alone has four fifths of it, and gets no more by asking for more: who has none of it has the next turn. What all have
//! together is less than a gateway grants at its defaults, so that the rest, and root, find something left. Root takes no share:
//! whoever logs in to the machine does so as root, and its requests and failures are everybody's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::relay::answer::Answer;
use crate::relay::shares::{Holder, Share, Shares};
use crate::wire::krb_error::{
    KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_CLIENT_REVOKED, KDC_ERR_PREAUTH_FAILED,
};
use crate::wire::{KerberosMessage, Kind, Reply, Resend};

const ROOT: Holder = Holder::User(0);

/// Requests under way, or begun in the time of [`PACE`]: six of one user, and 250 a second. A gateway has
/// `client-max-in-flight` of them, twice as many, as one whose connection died may go there once more, and `client-requests-per-second`.
const REQUESTS: usize = 7;
const PACE: Duration = Duration::from_millis(24);
/// Logins under way, or failed within [`FORGIVEN`]: thirteen of one user. A gateway has `failed-login-burst` of them, and forgives
/// `failed-logins-per-minute`.
const LOGINS: usize = 16;
const FORGIVEN: Duration = Duration::from_secs(120);
/// How long a request waits for its turn: in it 80 logins at once succeed by a proxy that is 100 ms away. MIT's kinit has come over
/// TCP by then, and waits there.
const PATIENCE: Duration = Duration::from_secs(4);

/// The shares in one gateway.
#[derive(Debug)]
pub(crate) struct UserShares {
    requests: Arc<Shares>,
    logins: Arc<Shares>,
}

/// The turn of one request.
#[derive(Debug)]
pub(crate) struct UserTurn {
    began: Instant,
    request: Share,
    login: Option<Share>,
}

impl Default for UserShares {
    fn default() -> Self {
        Self {
            requests: Shares::new(REQUESTS),
            logins: Shares::new(LOGINS),
        }
    }
}

impl UserShares {
    /// Waits until it is the turn of a request of `holder`, at most until `deadline`; nothing is to be waited for if he takes no share.
    ///
    /// # Errors
    /// What he has under way stays so for too long, or too many of his logins have failed.
    pub(crate) async fn turn(
        &self,
        holder: Holder,
        message: &KerberosMessage,
        deadline: Instant,
    ) -> Result<Option<UserTurn>, ()> {
        if holder == ROOT {
            return Ok(None);
        }
        let until = deadline.min(Instant::now() + PATIENCE);
        let turn = timeout_at(until, async {
            // First what takes longer to come: nobody's place waits for it.
            let login = match message.kind() {
                Kind::AsReq => Some(self.logins.turn(holder).await),
                Kind::TgsReq | Kind::Kpasswd => None,
            };
            let request = self.requests.turn(holder).await;
            UserTurn {
                began: Instant::now(),
                request,
                login,
            }
        });
        turn.await.map(Some).map_err(drop)
    }
}

impl UserTurn {
    /// The exchange has ended with this answer to `message`.
    pub(crate) fn end(self, message: &KerberosMessage, answer: Option<&Answer>) {
        if let (Some(login), Some(Answer::Reply(reply))) = (self.login, answer)
            && has_failed(message, reply)
        {
            give_back_in(FORGIVEN, login);
        }
        give_back_in(PACE.saturating_sub(self.began.elapsed()), self.request);
    }
}

fn give_back_in(time: Duration, share: Share) {
    if !time.is_zero() {
        tokio::spawn(async move {
            sleep(time).await;
            drop(share);
        });
    }
}

/// A KDC said that the password was wrong, that there were too many wrong ones, or that there is nobody of this name: what a
/// gateway counts.
fn has_failed(message: &KerberosMessage, reply: &Reply) -> bool {
    match reply.error_code() {
        Some(KDC_ERR_PREAUTH_FAILED | KDC_ERR_CLIENT_REVOKED) => message.resend() == Resend::Once,
        // Unless another realm may know him (RFC 6806 7).
        Some(KDC_ERR_C_PRINCIPAL_UNKNOWN) => {
            let realm = reply.client_realm();
            realm.is_none_or(|realm| realm.key() == message.realm().key())
        }
        _ => false,
    }
}

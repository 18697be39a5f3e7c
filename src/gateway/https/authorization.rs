//! What a client has proved of itself: by its certificate, or else by a bearer token (RFC 6750).

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, StatusCode};

use super::handler::ConnContext;
use super::responses::ErrorResponse;
use crate::config::gateway::Tokens;
use crate::gateway::access::{Grant, by_token};
use crate::wire::{KerberosMessage, Realm};

impl ConnContext {
    /// What the client may ask for; nothing where everybody may. `by_proxy`: a reverse proxy asks for it, whose certificate says who
    /// that is, and does not stand for a token.
    pub(super) fn grant(
        &self,
        headers: &HeaderMap,
        by_proxy: bool,
    ) -> Result<Option<Grant>, ErrorResponse> {
        let access = &self.state.options.access;
        let shown = self.peer.certificate.clone();
        match &access.tokens {
            Some(tokens) => {
                let shown = shown.filter(|_| !by_proxy);
                shown
                    .map_or_else(|| bearer(headers, &tokens.borrow()), Ok)
                    .map(Some)
            }
            // Without TLS a reverse proxy on this machine sees the certificates.
            None if shown.is_some() || access.certificates.is_empty() || !self.is_tls() => {
                Ok(shown)
            }
            None => {
                let text = "a certificate that is let in here must be shown";
                Err(ErrorResponse::new(StatusCode::FORBIDDEN, text))
            }
        }
    }

    /// The realm that is asked for and the one inside may be asked for by this client, and under one name.
    pub(super) fn check_realms(
        &self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
        grant: Option<&Grant>,
    ) -> Result<(), ErrorResponse> {
        let exchange = &self.state.exchange;
        let asked = message.realm();
        let mut realms = std::iter::once(asked).chain(inside);
        let denied = grant.and_then(|grant| realms.find(|realm| !grant.covers(realm, exchange)));
        let text = if let Some(realm) = denied {
            format!("realm {realm} is not one that this client may ask for")
        } else if let Some(inside) =
            inside.filter(|inside| !exchange.serves_inside(message, inside))
        {
            format!("realm {inside} is not served under the name of realm {asked}")
        } else {
            return Ok(());
        };
        Err(ErrorResponse::new(StatusCode::FORBIDDEN, text))
    }
}

/// What the token that was sent is good for (RFC 6750 2.1).
fn bearer(headers: &HeaderMap, tokens: &Tokens) -> Result<Grant, ErrorResponse> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (field, another) = (fields.next(), fields.next());
    let sent = field.and_then(|field| {
        let (scheme, token) = field.as_bytes().split_at_checked(7)?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
        is_bearer.then_some(token.trim_ascii())
    });
    let known = sent.filter(|_| another.is_none());
    let known = known.and_then(|token| by_token(tokens, token));
    known.ok_or_else(|| ErrorResponse::unauthorized(sent.is_some()))
}

//! How each way in words an answer.
//!
//! By default a failure looks like a KDC that cannot be reached, at once: only that lets PAM, SSSD and their like go
//! offline, and clients try their next KDC. On UDP that is KRB_ERR_RESPONSE_TOO_BIG, which brings the client
//! back over TCP, and there a reset. On port 464 it is always told in kpasswd's own framing (RFC 3244 2): a closed
//! connection makes MIT's kpasswd send a new change over UDP, and anything else crashes Heimdal's.

use std::time::SystemTime;

use bytes::Bytes;

use crate::answer::{Answer, Cause, OnFailure, Verdict};
use crate::wire::{Framed, KerberosMessage, Service, kpasswd, krb_error};

/// What is written to a stream.
pub(super) enum OnStream {
    /// Length and message, in one write.
    Reply(Bytes),
    /// Nothing: the connection is reset.
    Reset,
}

/// The answer as a datagram.
pub(super) fn datagram(message: &KerberosMessage, answer: Answer, reply_max: usize) -> Bytes {
    match answer {
        // There is no such error that Heimdal's kpasswd survives, and kpasswd replies are short.
        Answer::Reply(reply)
            if reply.bytes().len() <= reply_max || message.service() == Service::Kpasswd =>
        {
            reply.bytes().clone()
        }
        Answer::Reply(_) => too_big(message),
        Answer::Verdict(verdict) => {
            in_words(message.service(), &verdict).unwrap_or_else(|| too_big(message))
        }
    }
}

/// The answer on a stream.
pub(super) fn on_stream(message: &KerberosMessage, answer: &Answer) -> OnStream {
    match answer {
        Answer::Reply(reply) => OnStream::Reply(Framed::wrap(reply.bytes()).as_bytes().clone()),
        Answer::Verdict(verdict) => in_words(message.service(), verdict)
            .map_or(OnStream::Reset, |error| {
                OnStream::Reply(Framed::wrap(&error).as_bytes().clone())
            }),
    }
}

/// The answer to a stream request whose length is not accepted (RFC 4120 7.2.2), before the close.
pub(super) fn field_too_long(service: Service) -> Bytes {
    let (code, now) = (krb_error::KRB_ERR_FIELD_TOOLONG, SystemTime::now());
    let error = match service {
        Service::Kdc => krb_error::encode(code, None, service, None, now),
        Service::Kpasswd => {
            kpasswd::error_reply(None, code, "loopkdc: the request is too long", now)
        }
    };
    Framed::wrap(&error).as_bytes().clone()
}

/// KRB_ERR_RESPONSE_TOO_BIG: the same again over TCP (RFC 4120 7.2.1).
fn too_big(message: &KerberosMessage) -> Bytes {
    let code = krb_error::KRB_ERR_RESPONSE_TOO_BIG;
    krb_error::encode(
        code,
        Some(message.realm()),
        message.service(),
        None,
        SystemTime::now(),
    )
    .into()
}

/// The KRB-ERROR for a verdict that is told in words, if it is.
fn in_words(service: Service, verdict: &Verdict) -> Option<Bytes> {
    let (code, realm, now) = (
        error_code(verdict.cause),
        Some(&verdict.realm),
        SystemTime::now(),
    );
    let error = match (service, verdict.on_failure) {
        (Service::Kpasswd, _) => kpasswd::error_reply(realm, code, &verdict.password_text(), now),
        (Service::Kdc, OnFailure::Explain) => {
            krb_error::encode(code, realm, service, Some(&verdict.reason()), now)
        }
        (Service::Kdc, OnFailure::Unreachable) => return None,
    };
    Some(error.into())
}

/// Codes that no client takes for a reason to ask again: 29 sends Heimdal into a loop, 68 gokrb5.
fn error_code(cause: Cause) -> i32 {
    match cause {
        Cause::NoUpstream => krb_error::KRB_AP_ERR_IAKERB_KDC_NOT_FOUND,
        // [MS-KKDCP] 3.1.5.3.
        Cause::Forbidden => krb_error::KDC_ERR_POLICY,
        _ => krb_error::KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE,
    }
}

//! How an answer is rendered for UDP, for a stream, and for kpasswd.
//!
//! By default a failure looks like a KDC that cannot be reached, at once: only that lets PAM, SSSD and their like go
//! offline, and clients try their next KDC. On UDP that is KRB_ERR_RESPONSE_TOO_BIG, which brings the client
//! back over TCP, and there a reset. On port 464 it is always told in kpasswd's own framing (RFC 3244 2): a closed
//! connection makes MIT's kpasswd send a new change over UDP, and anything else crashes Heimdal's.

use std::time::SystemTime;

use bytes::Bytes;

use crate::relay::answer::{Answer, Cause, OnFailure, Verdict};
use crate::relay::upstream::{Credential, Fault};
use crate::wire::{Framed, KerberosMessage, Kind, Service, kpasswd, krb_error};

/// What is written to a stream.
pub(crate) enum OnStream {
    /// Length and message, in one write.
    Reply(Bytes),
    /// Nothing: the connection is reset.
    Reset,
}

/// True if an answer is short enough for a datagram.
pub(crate) fn fits(message: &KerberosMessage, answer: &Answer, reply_max: usize) -> bool {
    match answer {
        // There is no such error that Heimdal's kpasswd survives, and kpasswd replies are short.
        Answer::Reply(reply) => {
            reply.bytes().len() <= reply_max || message.service() == Service::Kpasswd
        }
        Answer::Verdict(_) => true,
    }
}

/// The answer as a datagram.
pub(crate) fn datagram(message: &KerberosMessage, answer: Answer, reply_max: usize) -> Bytes {
    if !fits(message, &answer, reply_max) {
        return too_big(message);
    }
    match answer {
        Answer::Reply(reply) => reply.bytes().clone(),
        Answer::Verdict(verdict) => in_words(message, &verdict).unwrap_or_else(|| too_big(message)),
    }
}

/// The answer on a stream.
pub(crate) fn on_stream(message: &KerberosMessage, answer: &Answer) -> OnStream {
    match answer {
        Answer::Reply(reply) => OnStream::Reply(Framed::wrap(reply.bytes()).as_bytes().clone()),
        Answer::Verdict(verdict) => in_words(message, verdict).map_or(OnStream::Reset, |error| {
            OnStream::Reply(Framed::wrap(&error).as_bytes().clone())
        }),
    }
}

/// The answer to a stream request whose length is not accepted (RFC 4120 7.2.2), before the close.
pub(crate) fn field_too_long(service: Service) -> Bytes {
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
fn in_words(message: &KerberosMessage, verdict: &Verdict) -> Option<Bytes> {
    let service = message.service();
    let (code, realm, now) = (
        error_code(message.kind(), &verdict.cause),
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

/// Codes that no client takes for a reason to ask again: 29 sends Heimdal into a loop, 68 gokrb5. Of all of them MIT's library shows the
/// text of KRB_ERR_GENERIC alone, and of that only in the answer to a TGS-REQ: else its own words for the code have to do.
fn error_code(kind: Kind, cause: &Cause) -> i32 {
    match cause {
        _ if kind == Kind::TgsReq => krb_error::KRB_ERR_GENERIC,
        Cause::NoUpstream | Cause::NotOffered => krb_error::KRB_AP_ERR_IAKERB_KDC_NOT_FOUND,
        // [MS-KKDCP] 3.1.5.3.
        Cause::Fault(
            Fault::Status(403, _)
            | Fault::Page(403)
            | Fault::AuthenticationRequired(Credential::OtherCertificate, _),
        ) => krb_error::KDC_ERR_POLICY,
        _ => krb_error::KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::upstream::NotReply;
    use crate::wire::tests::handmade::{ap_req, kdc_req, kpasswd_frame, message};
    use crate::wire::{Realm, Reply};

    fn as_req() -> KerberosMessage {
        KerberosMessage::parse(Service::Kdc, kdc_req(10, &[], "Example.COM").into()).unwrap()
    }

    fn change() -> KerberosMessage {
        let ap_req = ap_req("EXAMPLE.COM", &["kadmin", "changepw"]);
        let frame = kpasswd_frame(0xff80, &ap_req, &message(21, &[]));
        KerberosMessage::parse(Service::Kpasswd, frame.into()).unwrap()
    }

    /// A reply of `service` that has at least `octets`.
    fn reply(service: Service, octets: usize) -> Reply {
        let (text, now) = ("x".repeat(octets), SystemTime::UNIX_EPOCH);
        let error = krb_error::encode(6, None, service, Some(&text), now);
        let octets = match service {
            Service::Kdc => [&[][..], &error].concat(),
            Service::Kpasswd => kpasswd_frame(1, &[], &error),
        };
        Reply::parse(service, octets.into()).unwrap()
    }

    const CAUSES: [(Cause, i32); 9] = [
        (Cause::NoUpstream, 85),
        (Cause::NotOffered, 85),
        (Cause::Unreachable, 86),
        (Cause::Fault(Fault::status(403)), 12),
        (Cause::Fault(Fault::status(503)), 86),
        (Cause::Fault(Fault::NotKerberos(NotReply::WebPage)), 86),
        (Cause::Unanswered, 86),
        (Cause::Fault(Fault::NotServed), 86),
        (Cause::Overloaded, 86),
    ];

    fn verdict(cause: Cause, on_failure: OnFailure) -> Verdict {
        Verdict {
            cause,
            may_have_been_sent: true,
            on_failure,
            realm: Realm::parse(b"Example.COM").unwrap(),
        }
    }

    /// The message on the stream, if it is no reset.
    fn streamed(message: &KerberosMessage, verdict: Verdict) -> Option<Bytes> {
        match on_stream(message, &Answer::Verdict(verdict)) {
            OnStream::Reset => None,
            OnStream::Reply(octets) => {
                let (length, message) = octets.split_first_chunk::<4>().unwrap();
                assert_eq!(u32::from_be_bytes(*length) as usize, message.len());
                Some(octets.slice(4..))
            }
        }
    }

    fn contains(octets: &[u8], text: &str) -> bool {
        let mut windows = octets.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    }

    /// The code of an error, which must be a whole message of `service`.
    fn code(service: Service, octets: &Bytes) -> Option<i32> {
        Reply::parse(service, octets.clone()).unwrap().error_code()
    }

    #[test]
    fn a_reply_is_passed_on_octet_for_octet() {
        for message in [as_req(), change()] {
            let reply = reply(message.service(), 100);
            let answer = Answer::Reply(reply.clone());
            assert_eq!(datagram(&message, answer.clone(), 4096), reply.bytes());
            let OnStream::Reply(framed) = on_stream(&message, &answer) else {
                panic!()
            };
            assert_eq!(framed, reply.framed().as_bytes());
        }
    }

    #[test]
    fn a_reply_above_the_limit_is_told_to_come_over_tcp() {
        let reply = reply(Service::Kdc, 100);
        let length = reply.bytes().len();
        let answer = Answer::Reply(reply);
        assert_eq!(datagram(&as_req(), answer.clone(), length).len(), length);
        let told = datagram(&as_req(), answer, length - 1);
        assert_eq!(code(Service::Kdc, &told), Some(52));
        assert!(contains(&told, "Example.COM"));
    }

    #[test]
    fn a_change_is_never_told_to_come_over_tcp() {
        let reply = reply(Service::Kpasswd, 100);
        let answer = Answer::Reply(reply.clone());
        assert_eq!(datagram(&change(), answer, 100), reply.bytes());
    }

    #[test]
    fn by_default_a_failure_looks_unreachable() {
        for (cause, _) in CAUSES {
            let verdict = verdict(cause.clone(), OnFailure::Unreachable);
            assert_eq!(streamed(&as_req(), verdict.clone()), None, "{cause:?}");
            let told = datagram(&as_req(), Answer::Verdict(verdict), 4096);
            assert_eq!(code(Service::Kdc, &told), Some(52), "{cause:?}");
        }
    }

    #[test]
    fn explained_a_failure_says_why() {
        for (cause, expected) in CAUSES {
            let verdict = verdict(cause.clone(), OnFailure::Explain);
            let told = streamed(&as_req(), verdict.clone()).unwrap();
            assert_eq!(code(Service::Kdc, &told), Some(expected), "{cause:?}");
            assert!(contains(&told, &verdict.reason()), "{cause:?}");
            let reply = Reply::parse(Service::Kdc, told).unwrap();
            assert!(reply.is_of_loopkdc(), "{cause:?}");
            let told = datagram(&as_req(), Answer::Verdict(verdict.clone()), 4096);
            assert_eq!(code(Service::Kdc, &told), Some(expected), "{cause:?}");
            assert!(contains(&told, &verdict.reason()), "{cause:?}");
        }
    }

    #[test]
    fn the_failure_of_a_change_is_always_told_in_its_own_frame() {
        for (cause, expected) in CAUSES {
            for on_failure in [OnFailure::Unreachable, OnFailure::Explain] {
                let verdict = verdict(cause.clone(), on_failure);
                let stream = streamed(&change(), verdict.clone()).unwrap();
                let datagram = datagram(&change(), Answer::Verdict(verdict.clone()), 4096);
                for told in [stream, datagram] {
                    assert_eq!(told[2..6], [0, 1, 0, 0], "version 1, no AP-REP");
                    assert_eq!(code(Service::Kpasswd, &told), Some(expected), "{cause:?}");
                    assert!(contains(
                        &told,
                        &format!("\0\x02{}", verdict.password_text())
                    ));
                }
            }
        }
    }

    #[test]
    fn an_oversized_length_is_refused_in_the_words_of_its_service() {
        for service in [Service::Kdc, Service::Kpasswd] {
            let framed = field_too_long(service);
            let (length, told) = framed.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_be_bytes(*length) as usize, told.len());
            assert_eq!(code(service, &framed.slice(4..)), Some(61));
            assert_eq!(
                told[0] == 0x7e,
                service == Service::Kdc,
                "framed for kpasswd"
            );
        }
    }
}

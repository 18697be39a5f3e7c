//! When a certificate is valid (RFC 5280 4.1.2.5).

use std::time::SystemTime;

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{DateTime, Decode, Tag, Tagged};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before: DateTime,
    not_after: DateTime,
}

impl Validity {
    /// The validity of a certificate in DER. What else is in it is for those to check who rely on it.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = AnyRef::from_der(certificate).ok()?;
        let mut fields = next(&mut certificate.value())?.value();
        let fields = &mut fields;
        // The version may be absent; then come serialNumber, signature and issuer (RFC 5280 4.1).
        if matches!(next(fields)?.tag(), Tag::ContextSpecific { .. }) {
            next(fields)?;
        }
        next(fields)?;
        next(fields)?;
        let mut times = next(fields)?.value();
        Some(Self {
            not_before: time(next(&mut times)?)?,
            not_after: time(next(&mut times)?)?,
        })
    }

    /// The last moment at which it is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after.to_system_time()
    }

    /// The same, for the log.
    pub(super) fn until(&self) -> String {
        self.not_after.to_string()
    }

    /// What is wrong with it at `now`, in words.
    pub(super) fn warning(&self, now: SystemTime) -> Option<String> {
        if now > self.not_after() {
            Some(format!("the certificate expired at {}", self.not_after))
        } else if now < self.not_before.to_system_time() {
            Some(format!(
                "the certificate is valid from {} only",
                self.not_before
            ))
        } else {
            None
        }
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<AnyRef<'a>> {
    let (element, after) = AnyRef::from_der_partial(rest).ok()?;
    *rest = after;
    Some(element)
}

fn time(element: AnyRef<'_>) -> Option<DateTime> {
    match element.tag() {
        Tag::UtcTime => Some(element.decode_as::<UtcTime>().ok()?.to_date_time()),
        _ => Some(element.decode_as::<GeneralizedTime>().ok()?.to_date_time()),
    }
}

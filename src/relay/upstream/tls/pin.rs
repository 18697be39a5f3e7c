//! Pins: keys of which one must be in the chain that vouches for a KDC proxy (RFC 7469 2.6).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

/// The SHA-256 of a certificate's SubjectPublicKeyInfo in DER (RFC 7469 2.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(pub(super) [u8; 32]);

impl Pin {
    /// What `sha256/BASE64` stands for, as curl and others write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hash = STANDARD.decode(text.strip_prefix("sha256/")?).ok()?;
        hash.try_into().ok().map(Self)
    }

    pub(super) fn of(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }

    /// The pin of a certificate's key, if it can be read.
    pub(crate) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        Some(Self::of(&certificate.subject_public_key_info()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_written_as_curl_writes_it() {
        // RFC 7469 2.4 has no test vector; this is openssl's of 32 zero octets.
        let text = "sha256/Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=";
        let pin = Pin::parse(text).unwrap();
        assert_eq!(pin, Pin::of(&[0; 32]));
        assert_eq!(pin.to_string(), text);
        for wrong in ["sha1/AAAA", "sha256/AAAA", "Zmh6", "sha256//", ""] {
            assert_eq!(Pin::parse(wrong), None, "{wrong}");
        }
    }
}

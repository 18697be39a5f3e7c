//! What the errors of rustls and webpki say, by their types: their texts are for who writes programs.

use rustls::{AlertDescription, CertificateError, Error};
use webpki::Error as PathError;

use super::fault::{CertificateFault, ConnectError, TlsFault, Unsent};

/// Why a handshake that failed by `error` sent no request.
pub(super) fn unsent(error: &Error) -> Unsent {
    match error {
        Error::InvalidCertificate(error) => Unsent::Untrusted(error.into()),
        error => Unsent::Connect(ConnectError::Tls(error.into())),
    }
}

/// What `error` says, in the words of the log.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => CertificateFault::from(error).to_string(),
        error => TlsFault::from(error).to_string(),
    }
}

impl From<&Error> for TlsFault {
    fn from(error: &Error) -> Self {
        use AlertDescription as Alert;
        match error {
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_)
            | Error::AlertReceived(
                Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity,
            ) => Self::NothingInCommon,
            Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
                Self::NoHttp
            }
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::AlertReceived(alert) => Self::Alert((*alert).into()),
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerSentOversizedRecord => Self::RulesBroken,
            _ => Self::Other,
        }
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as Why;
        match error {
            Why::UnknownIssuer | Why::BadSignature => Self::UnknownIssuer,
            Why::NotValidForNameContext { presented, .. } if presented.is_empty() => Self::NoName,
            Why::NotValidForName | Why::NotValidForNameContext { .. } => Self::WrongName,
            Why::Expired | Why::ExpiredContext { .. } => Self::Expired,
            Why::NotValidYet | Why::NotValidYetContext { .. } => Self::NotYetValid,
            Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => Self::WrongPurpose,
            Why::UnsupportedSignatureAlgorithmContext { .. }
            | Why::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::UnsupportedSignature
            }
            Why::UnhandledCriticalExtension => Self::CriticalExtension,
            Why::Revoked => Self::Revoked,
            Why::BadEncoding => Self::Malformed,
            Why::Other(other) => match (other.0.downcast_ref(), other.0.downcast_ref()) {
                (Some(&fault), _) => fault,
                (_, Some(error)) => of_path(error),
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// What rustls has no word of its own for.
fn of_path(error: &PathError) -> CertificateFault {
    match error {
        PathError::CaUsedAsEndEntity => CertificateFault::Authority,
        PathError::EndEntityUsedAsCa => CertificateFault::SignedByNoAuthority,
        PathError::NameConstraintViolation | PathError::PathLenConstraintViolated => {
            CertificateFault::Constrained
        }
        PathError::UnsupportedCertVersion => CertificateFault::OldVersion,
        PathError::UnsupportedCriticalExtension => CertificateFault::CriticalExtension,
        PathError::MaximumNameConstraintComparisonsExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumPathDepthExceeded
        | PathError::MaximumSignatureChecksExceeded => CertificateFault::LongChain,
        PathError::CertDistrusted => CertificateFault::Revoked,
        PathError::EmptyEkuExtension
        | PathError::ExtensionValueInvalid
        | PathError::InvalidNetworkMaskConstraint
        | PathError::InvalidSerialNumber
        | PathError::MalformedDnsIdentifier
        | PathError::MalformedExtensions
        | PathError::MalformedNameConstraint
        | PathError::SignatureAlgorithmMismatch => CertificateFault::Malformed,
        _ => CertificateFault::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved};

    use super::*;

    /// What no server of openssl's can be made to cause, and what is left over.
    #[test]
    fn each_error_is_told_in_a_sentence() {
        let other = |error| CertificateError::Other(OtherError(Arc::new(error)));
        for (error, expected) in [
            (
                InvalidMessage::InvalidContentType.into(),
                "what answers speaks no TLS",
            ),
            (
                PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into(),
                "no version or cipher of TLS in common",
            ),
            (
                PeerMisbehaved::SelectedUnofferedCipherSuite.into(),
                "what answers breaks the rules of TLS",
            ),
            (
                Error::AlertReceived(AlertDescription::InternalError),
                "it ended the handshake with TLS alert 80 (internal_error)",
            ),
            (
                Error::AlertReceived(AlertDescription::Unknown(200)),
                "it ended the handshake with TLS alert 200 (no name)",
            ),
            (
                Error::NoApplicationProtocol,
                "it speaks neither HTTP/2 nor HTTP/1.1",
            ),
            (Error::NoCertificatesPresented, "it shows no certificate"),
            (
                Error::General("SomeError".to_owned()),
                "the handshake of TLS failed",
            ),
            (
                CertificateError::ApplicationVerificationFailure.into(),
                "it cannot be verified",
            ),
            (
                other(PathError::SignatureAlgorithmMismatch).into(),
                "it breaks the rules of X.509 (RFC 5280)",
            ),
            (other(PathError::CertDistrusted).into(), "revoked"),
            (
                other(PathError::UnsupportedNameType).into(),
                "it cannot be verified",
            ),
        ] {
            assert_eq!(words(&error), expected);
        }
    }
}

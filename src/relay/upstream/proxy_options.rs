//! How a KDC proxy is asked: by way of what, and by what it knows this machine.
//!
//! A new way to authenticate to a KDC proxy touches these places:
//!
//! 1. [`ProxyOptions`], or [`RequestHeaders`] if it is a header like others: what is configured;
//! 2. `config/keys.rs`: its key, marked as `SendsSecret` (or as `Proof`, if it gives nothing away), so that it goes to no proxy that
//!    it is not meant for; as `SecretFile`, if it names a file that holds a secret; and as `Masked`, if a secret may be written
//!    there by mistake; and the text of `any-realm`, which lists what is this machine's alone;
//! 3. `config/proxy_options.rs`, or what it calls (`pem.rs` for certificates), which reads it;
//!    `check_one_authorization` there, if it is sent as Authorization;
//! 4. what shows it: `HeaderSource` a header that stands still; `KdcProxy::new`, `prepare` and `converse` in `kkdcp.rs` what is
//!    made for each request or takes several rounds, as [`super::negotiate`] does; `SystemRoots::client` in `tls.rs` and
//!    `ClientAuth` there what TLS carries;
//! 5. `refusal.rs`: its `Authorization`, and how a server says that it wants it, as a [`Credential`](super::Credential). For that
//!    `relay/explain.rs` has the words (`of_credential`, and hints in its `answers`), and `error_code` in `shim/render.rs` the code;
//! 6. `operate/check.rs`, which lists what is configured; `tests/interop/out`; `packaging/doc/roaming.md` and `recipes.md`, and
//!    `SECURITY.md`.

mod request_headers;

pub(super) use request_headers::HeaderSource;
pub use request_headers::{Header, RequestHeaders, parse_header, parse_headers, parse_token};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use url::Url;

use super::negotiate::Negotiate;
use super::tls::Pin;

/// All that makes two ways to one KDC proxy different ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyOptions {
    /// What stands between this machine and the KDC proxy.
    pub forward_proxy: ForwardProxy,
    /// The certificate to show if the KDC proxy asks for one.
    pub client_certificate: Option<ClientCertificate>,
    /// What each request shows.
    pub headers: RequestHeaders,
    /// The tickets that each request shows.
    pub negotiate: Option<Negotiate>,
    /// Keys of which one must be in the chain of certificates that vouches for the KDC proxy. Empty: any will do.
    pub pins: Vec<Pin>,
    /// The oldest version of TLS that will do.
    pub min_tls: MinTls,
    /// The newest version of HTTP that is spoken.
    pub http_version: HttpVersion,
    /// The files that all this was read from which nobody else should read.
    pub secret_files: Vec<PathBuf>,
}

/// What stands between this machine and a KDC proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ForwardProxy {
    /// Nothing: connections are made to the KDC proxy itself.
    #[default]
    None,
    /// What HTTPS_PROXY, ALL_PROXY and NO_PROXY say, if anything.
    Environment,
    /// This proxy.
    Url(ForwardProxyUrl),
}

/// An HTTP proxy that is asked to CONNECT (RFC 9110 9.3.6), or a SOCKS5 proxy that is given names as they are (RFC 1928).
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardProxyUrl(Url);

impl ForwardProxyUrl {
    /// The proxy at `url`, with its user and password if it wants them. `None` if the URL leads to no such proxy.
    pub fn new(url: Url) -> Option<Self> {
        let leads = matches!(url.scheme(), "http" | "socks5h") && url.has_host();
        leads.then_some(Self(url))
    }

    /// It is told a user or a password.
    pub fn has_credentials(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    /// With user and password.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

/// Scheme, host and port; neither user nor password.
impl fmt::Display for ForwardProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for ForwardProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForwardProxyUrl({self})")
    }
}

/// The oldest version of TLS that will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MinTls {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

/// The newest version of HTTP that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112), whatever the server offers.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 (RFC 9113), where the server offers it.
    #[default]
    #[serde(rename = "2")]
    Http2,
}

impl HttpVersion {
    /// What is offered in the handshake (RFC 7301), the best first.
    pub(super) fn alpn(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// A certificate, those that lead to its root, and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Where the certificate was read from.
    pub file: PathBuf,
    /// What TLS signs with.
    pub(in crate::relay::upstream) certified: Arc<CertifiedKey>,
}

impl ClientCertificate {
    /// # Errors
    /// The key is of a kind that TLS cannot use, or is not that of the first certificate in `chain`.
    pub fn new(
        file: PathBuf,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        Ok(Self {
            file,
            certified: Arc::new(certified),
        })
    }
}

/// Certificates that are the same have the same key.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.certified.cert == other.certified.cert
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str) -> Option<ForwardProxyUrl> {
        ForwardProxyUrl::new(url.parse().unwrap())
    }

    #[test]
    fn a_password_is_never_shown() {
        let proxy = proxy("http://user:secret@proxy.example:3128").unwrap();
        assert!(proxy.has_credentials());
        assert_eq!(proxy.to_string(), "http://proxy.example:3128");
        assert_eq!(
            format!("{proxy:?}"),
            "ForwardProxyUrl(http://proxy.example:3128)"
        );
        assert!(proxy.url().as_str().contains("secret"));
    }

    #[test]
    fn only_two_kinds_will_do() {
        assert!(proxy("socks5h://[::1]:1080").is_some_and(|proxy| !proxy.has_credentials()));
        for url in [
            "https://proxy.example",
            "socks4://proxy.example",
            "socks5h:proxy",
        ] {
            assert_eq!(proxy(url), None, "{url}");
        }
    }
}

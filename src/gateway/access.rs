//! Who asks, as far as that is proved.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

use crate::relay::upstream::certificate;

/// What a client's certificate, which was checked, calls it: its first DNS name, else what people call its subject, else the
/// SHA-256 of the certificate.
#[must_use]
pub fn certificate_name(der: &[u8]) -> Arc<str> {
    let certificate = der.into();
    let read = EndEntityCert::try_from(&certificate).ok();
    let name = read.and_then(|read| {
        let dns = read.valid_dns_names().next().map(str::to_owned);
        dns.or_else(|| certificate::called(read.subject()))
    });
    let hash = || format!("sha256:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(der)));
    name.unwrap_or_else(hash).into()
}

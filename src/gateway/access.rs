//! Who is let in, and for which realms: by a certificate, or by a bearer token.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use webpki::EndEntityCert;

use crate::config::gateway::{AllowedCertificates, Tokens, TokensFile};
use crate::gateway::files::WatchedFiles;
use crate::relay::exchange::Exchange;
use crate::relay::failure::Failure;
use crate::relay::upstream::certificate;
use crate::wire::Realm;

/// Who is let in; everybody, if nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Certificates, of those that were checked; all of them, if none is named.
    pub certificates: Vec<AllowedCertificates>,
    /// Tokens, which are asked for if there is a list of them.
    pub tokens: Option<CurrentTokens>,
}

/// Where the current tokens are.
pub type CurrentTokens = watch::Receiver<Arc<Tokens>>;

/// What a client has proved, and what it may ask for.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its name.
    pub name: Arc<str>,
    /// The realms; all, if none is named.
    realms: Option<Vec<Realm>>,
}

impl Grant {
    /// True if this realm may be asked for, by whichever of its names.
    pub(super) fn covers(&self, realm: &Realm, exchange: &Exchange) -> bool {
        let is_it = |granted: &Realm| exchange.is_same_realm(granted, realm);
        let granted = self.realms.as_ref();
        granted.is_none_or(|realms| realms.iter().any(is_it))
    }
}

impl Access {
    /// What a certificate is good for that was checked, in DER; nothing, if it is none that is let in.
    #[must_use]
    pub fn by_certificate(&self, der: &[u8]) -> Option<Grant> {
        let certificate = der.into();
        let read = EndEntityCert::try_from(&certificate).ok();
        // A name that stands for many is nobody's.
        let names = read.iter().flat_map(|read| read.valid_dns_names());
        let names: Vec<_> = names.filter(|name| !name.contains('*')).collect();
        if self.certificates.is_empty() {
            let dns = names.first().map(|name| (*name).to_owned());
            let subject = || {
                read.as_ref()
                    .and_then(|read| certificate::called(read.subject()))
            };
            let hash = || format!("sha256:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(der)));
            return Some(Grant {
                name: dns.or_else(subject).unwrap_or_else(hash).into(),
                realms: None,
            });
        }
        let fits = |entry: &AllowedCertificates| names.iter().any(|name| entry.san.matches(name));
        let (mut found, mut realms) = (None, Vec::new());
        for entry in self.certificates.iter().filter(|entry| fits(entry)) {
            found = found.or_else(|| names.iter().find(|name| entry.san.matches(name)));
            realms.extend(entry.realms.iter().cloned());
        }
        found.map(|name| Grant {
            name: (*name).into(),
            realms: Some(realms),
        })
    }
}

/// What a token is good for by now; nothing, if it is none that is let in.
pub(super) fn by_token(tokens: &Tokens, token: &[u8]) -> Option<Grant> {
    let found = tokens.find(token, SystemTime::now())?;
    Some(Grant {
        name: Arc::clone(&found.name),
        realms: Some(found.realms.to_vec()),
    })
}

/// Reads the tokens, and follows their file until `stop`. A file that is of no use changes nothing. Must be called inside a runtime.
///
/// # Errors
/// It can't be read, or holds something else.
pub fn follow_tokens(
    file: TokensFile,
    stop: &CancellationToken,
    reload: Arc<Notify>,
) -> Result<CurrentTokens, Failure> {
    let read = file.read();
    let tokens = read.as_ref().map_err(Clone::clone).and_then(Tokens::parse);
    let tokens = tokens.map_err(|error| error.into_failure(None))?;
    let (sender, current) = watch::channel(Arc::new(tokens));
    let follow = async move {
        let mut watched = WatchedFiles::new(read);
        loop {
            let again = file.clone();
            let Some(read) = watched.next(&reload, move || again.read()).await else {
                continue;
            };
            match read.as_ref().map_err(Clone::clone).and_then(Tokens::parse) {
                Ok(tokens) => {
                    tracing::info!(tokens = tokens.count(), "tokens-file read again");
                    sender.send_replace(Arc::new(tokens));
                }
                Err(error) => {
                    let failure = error.into_failure(None);
                    let (error, hint) = (failure.message(), failure.hints().into_iter().next());
                    tracing::warn!(error, hint, "the tokens stay as they were");
                }
            }
        }
    };
    let stop = stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(follow).await });
    Ok(current)
}

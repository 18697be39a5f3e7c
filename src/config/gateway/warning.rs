//! What is valid, and still worth a word.

use super::settings::TrustedProxies;
use super::{GatewayConfig, Serving};

impl GatewayConfig {
    /// One line each: lower case, no full stop.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.realms.is_empty() {
            warnings.push("no realm is configured: every request will be refused; add [realms.\"EXAMPLE.COM\"] with kdcs".to_owned());
        }
        let Serving {
            plain,
            trusted,
            tls,
            ..
        } = &self.serving;
        if !plain.is_empty() && *trusted == TrustedProxies::default() {
            warnings.push(
                "plain-listen without trusted-proxies: all clients behind the reverse proxy count as one".to_owned(),
            );
        }
        let asks = tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        if asks.is_some() && !plain.is_empty() {
            warnings.push(
                "client-ca-file has no say over plain-listen: the reverse proxy must check certificates there".to_owned(),
            );
        }
        let log = self.serving.access_log.as_ref();
        if log.is_some_and(|log| log.principals) {
            warnings.push("log-principals: the access log names who logs in".to_owned());
        }
        warnings
    }
}

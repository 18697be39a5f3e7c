//! Which requests are those for the ticket that tokens are made of.

use std::fmt;

use super::Negotiate;
use crate::wire::{KerberosMessage, Kind, Service};

/// A principal: name and realm, as text (RFC 1964 2.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Its components with slashes between them.
    pub name: String,
    /// Its realm.
    pub realm: String,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.realm)
    }
}

/// Whose ticket it is, and for whom.
#[derive(Debug)]
pub(super) struct Own {
    /// Whose keys are at hand, so that the library may ask for a ticket with them.
    keys_of: Option<Principal>,
    /// The proxy's service: `HTTP/host`.
    service: String,
}

impl Own {
    pub(super) fn new(whose: &Negotiate, host: &str) -> Self {
        let keys_of = whose.principal.clone().filter(|_| whose.keytab.is_some());
        Self {
            keys_of,
            service: format!("HTTP/{host}"),
        }
    }

    pub(super) fn asks_for_ticket(&self, message: &KerberosMessage) -> bool {
        match (message.service(), message.kind()) {
            (Service::Kdc, Kind::AsReq) => self.keys_of.as_ref().is_some_and(|own| {
                let is_in_realm = message.realm().as_str().eq_ignore_ascii_case(&own.realm);
                is_in_realm && message.client_name().as_deref() == Some(&own.name)
            }),
            (Service::Kdc, Kind::TgsReq) => message
                .service_name()
                .is_some_and(|name| name.eq_ignore_ascii_case(&self.service)),
            _ => false,
        }
    }
}

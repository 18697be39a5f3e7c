//! Which requests are refused because a realm's policy says so: with KDC_ERR_POLICY, and without asking a KDC.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::config::gateway::{AllowedPreauth, KdcRealm, RealmPolicy};
use crate::wire::krb_error::{self, KDC_ERR_POLICY, OWN_TEXT};
use crate::wire::{
    KerberosMessage, Kind, OuterName, OuterPreauth, Outline, Realm, RealmKey, Service,
};

/// The policies of realms that have one, by each of their names.
#[derive(Clone, Debug, Default)]
pub struct Policies(HashMap<RealmKey, Arc<RealmPolicy>>);

/// Where the current ones are: a reload brings others.
pub type CurrentPolicies = watch::Receiver<Policies>;

/// The principal that armor is made with by whoever has no ticket (RFC 8062 3), after the KDC has proved itself.
pub const ANONYMOUS: &str = "WELLKNOWN/ANONYMOUS";

impl Policies {
    /// Those of `realms`.
    #[must_use]
    pub fn new(realms: &[KdcRealm]) -> Self {
        let mut policies = HashMap::new();
        for entry in realms {
            if entry.policy == RealmPolicy::default() {
                continue;
            }
            let policy = Arc::new(entry.policy.clone());
            for name in std::iter::once(&entry.realm).chain(&entry.aliases) {
                policies.insert(name.key(), Arc::clone(&policy));
            }
        }
        Self(policies)
    }

    /// True if nobody is told whose name is nobody's in `realm`.
    #[must_use]
    pub fn hides_unknown(&self, realm: &Realm) -> bool {
        let policy = self.0.get(&realm.key());
        policy.is_some_and(|policy| policy.hides_unknown)
    }

    /// The key of the configuration by which `message` is refused: that of the realm it is for, or of the one `inside`, by
    /// which a KDC of both goes.
    #[must_use]
    pub fn refusal(
        &self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
    ) -> Option<&'static str> {
        let realms = std::iter::once(message.realm()).chain(inside);
        let mut policies = realms
            .filter_map(|realm| self.0.get(&realm.key()))
            .peekable();
        policies.peek()?;
        let outline = message.outline()?;
        policies.find_map(|policy| refusal(policy, &outline))
    }
}

fn refusal(policy: &RealmPolicy, asked: &Outline) -> Option<&'static str> {
    let is_as_req = asked.kind == Kind::AsReq;
    if is_as_req && !admits_preauth(policy.preauth, asked) {
        return Some("preauth");
    }
    // Of a TGS-REQ the client is in its ticket, encrypted.
    let denies = |name: &str| policy.denies_principal(name);
    let checks_client = is_as_req && !policy.deny_principals.is_empty();
    if checks_client && !may_be(&asked.client, asked, |name| !denies(name)) {
        return Some("deny-principals");
    }
    let allows = |name: &str| policy.allows_service(name);
    if policy.allow_services.is_some() && !may_be(&asked.service, asked, allows) {
        return Some("allow-services");
    }
    None
}

fn admits_preauth(allowed: AllowedPreauth, asked: &Outline) -> bool {
    match (allowed, asked.preauth) {
        (AllowedPreauth::Any, _) | (_, OuterPreauth::None) => true,
        (_, OuterPreauth::Timestamp) => false,
        (AllowedPreauth::NoTimestamp, OuterPreauth::Other) => true,
        (AllowedPreauth::Armored, OuterPreauth::Other) => {
            matches!(&asked.client, OuterName::Text(name) if name == ANONYMOUS)
        }
    }
}

/// A name that can't be read is none that may be. Under FAST one may be left out, as Heimdal does.
fn may_be(name: &OuterName, asked: &Outline, is_allowed: impl Fn(&str) -> bool) -> bool {
    match name {
        OuterName::Text(name) => is_allowed(name),
        OuterName::Absent => asked.is_armored,
        OuterName::Unreadable => false,
    }
}

/// The KRB-ERROR that says so to a client of `realm`.
#[must_use]
pub fn refused(realm: &Realm, key: &str, now: SystemTime) -> Vec<u8> {
    let text = format!("{OWN_TEXT}refused by the gateway's policy ({key})");
    krb_error::encode(KDC_ERR_POLICY, Some(realm), Service::Kdc, Some(&text), now)
}

#[cfg(test)]
mod tests;

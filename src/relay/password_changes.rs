//! The realms of which a password was changed lately. A replica that has not heard of the change refuses the new password, and
//! says that the old one has expired: only the KDC that takes writes is sure to know ([MS-KKDCP] 4.2, steps 20 to 25).
//!
//! After a failed login libkrb5 asks its `primary_kdc` again, unless the answer came from there. Through a tunnel or a gateway all
//! answers seem to, as all its KDCs have one address.
//!
//! Pure: the clock is an argument.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::relay::recent::Recent;
use crate::wire::RealmKey;

/// How long a change is remembered: by then replicas have heard of it. Active Directory's do within 15 s on one site, MIT's as
/// often as an administrator runs kprop.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Room for some thousand changes.
const MAX_BYTES: usize = 1024 * 1024;

/// The password changes that are remembered, by realm and, at a gateway, by client.
#[derive(Debug)]
pub(crate) struct PasswordChanges(Recent<(Option<IpAddr>, RealmKey), Instant>);

impl Default for PasswordChanges {
    fn default() -> Self {
        Self(Recent::new(REMEMBERED, MAX_BYTES))
    }
}

impl PasswordChanges {
    /// Remembers that `client` changed a password of `realm`.
    pub(super) fn record(&mut self, client: Option<IpAddr>, realm: RealmKey, now: Instant) {
        let octets = realm.as_str().len();
        self.0
            .insert((client, realm), now + REMEMBERED, octets, now);
    }

    /// True if `client` changed a password of `realm` lately.
    pub(super) fn is_recent(&self, client: Option<IpAddr>, realm: RealmKey, now: Instant) -> bool {
        self.0.get(&(client, realm), now).is_some()
    }

    /// The realms of which a password was changed lately, and until when that is remembered.
    pub(super) fn realms(&self, now: Instant) -> impl Iterator<Item = (&RealmKey, Instant)> {
        let changes = self.0.iter(now);
        changes.map(|((_, realm), until)| (realm, *until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Realm;

    fn key(realm: &str) -> RealmKey {
        Realm::parse(realm.as_bytes()).unwrap().key()
    }

    #[test]
    fn a_change_counts_for_its_client_and_realm_and_ten_minutes() {
        let (now, mut changes) = (Instant::now(), PasswordChanges::default());
        let [one, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|address| Some(address.into()));
        changes.record(one, key("ONE"), now);
        let later = now + REMEMBERED - Duration::from_secs(1);
        assert!(changes.is_recent(one, key("one"), later));
        assert!(!changes.is_recent(one, key("TWO"), later));
        assert!(!changes.is_recent(other, key("ONE"), later));
        assert!(!changes.is_recent(None, key("ONE"), later));
        assert!(!changes.is_recent(one, key("ONE"), now + REMEMBERED));
        // One more begins anew.
        changes.record(one, key("ONE"), later);
        assert!(changes.is_recent(one, key("ONE"), now + REMEMBERED));
        let until = changes.realms(now + REMEMBERED).collect::<Vec<_>>();
        assert_eq!(until, [(&key("ONE"), later + REMEMBERED)]);
    }

    #[test]
    fn the_oldest_make_room() {
        let (now, mut changes) = (Instant::now(), PasswordChanges::default());
        let client = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in 0..10_000 {
            changes.record(client(number), key("EXAMPLE.COM"), now);
        }
        let (octets, entries) = changes.0.held();
        assert!(octets <= MAX_BYTES && entries > 3000, "{octets} {entries}");
        assert!(!changes.is_recent(client(0), key("EXAMPLE.COM"), now));
        assert!(changes.is_recent(client(9999), key("EXAMPLE.COM"), now));
    }
}

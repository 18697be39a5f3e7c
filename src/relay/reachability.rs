//! Which realms of the configuration can be reached, by what came of their AS-REQs and TGS-REQs. Pure.
//!
//! Who goes by it (SSSD begins a login again without end while it believes that a KDC can be reached, and kills each try after
//! 6 s) must hear of a failure early, and can do with hearing of it in vain for a moment. So the rule is about whole exchanges:
//! that an upstream fails and another one replies is no failure. A reply says that the realm can be reached. An exchange
//! that ends without one says that it cannot, and so does one that has brought nothing for [`LATE`], whatever comes of it in the
//! end. After a fault that any local user's odd request can bring about, nothing is known, and the realm has to be asked.
//! Neither counts if a reply came since that exchange began, or the network became another one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::wire::{Realm, RealmKey};

/// An exchange that takes longer looks like one that will bring nothing. Name, connect and TLS have failed by then, and half of
/// the time is left after which SSSD kills what waits (`krb5_auth_timeout`, 6 s).
pub(crate) const LATE: Duration = Duration::from_secs(3);
/// A verdict waits for no longer than this until who goes by what can be reached has acted on it: half of the time after which
/// libkrb5 asks somebody else as well.
pub(crate) const HELD: Duration = Duration::from_millis(500);

/// What is known of the realms of the configuration, wildcards left out: under them clients choose the realms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reachability {
    realms: BTreeMap<RealmKey, RealmReach>,
    /// When the network became another one.
    changed: Option<Instant>,
    /// How often a realm could not be reached any more.
    losses: u64,
}

#[derive(Clone, Debug)]
struct RealmReach {
    /// As the configuration spells it.
    realm: Realm,
    is_reachable: Option<bool>,
    replied: Option<Instant>,
}

impl Reachability {
    /// The realms, as the configuration spells them.
    pub(crate) fn realms(&self) -> impl Iterator<Item = &Realm> {
        self.realms.values().map(|known| &known.realm)
    }

    /// Those that can be reached.
    pub(crate) fn reachable(&self) -> impl Iterator<Item = &Realm> {
        let reachable = |known: &&RealmReach| known.is_reachable == Some(true);
        self.realms.values().filter(reachable).map(|of| &of.realm)
    }

    /// Whether this one can, if that is known.
    pub(crate) fn of(&self, realm: &RealmKey) -> Option<bool> {
        self.realms.get(realm)?.is_reachable
    }

    /// How often a realm that could be reached no longer could.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// The configuration has these realms now. What is known of one still holds if it `keeps` an upstream.
    pub(crate) fn configure(&mut self, realms: impl IntoIterator<Item = (Realm, bool)>) {
        let mut before = std::mem::take(&mut self.realms);
        for (realm, keeps) in realms {
            let key = realm.key();
            let known = before.remove(&key).filter(|_| keeps);
            let known = RealmReach {
                is_reachable: known.as_ref().and_then(|known| known.is_reachable),
                replied: known.and_then(|known| known.replied),
                realm,
            };
            self.realms.insert(key, known);
        }
    }

    /// A reply came. Says whether that is news, as all that follow do.
    pub(crate) fn replied(&mut self, realm: &RealmKey, now: Instant) -> bool {
        let Some(known) = self.realms.get_mut(realm) else {
            return false;
        };
        known.replied = Some(now);
        known.is_reachable.replace(true) != Some(true)
    }

    /// There is no reply to what was asked at `asked`, or none for too long.
    pub(crate) fn failed(&mut self, realm: &RealmKey, asked: Instant) -> bool {
        self.set(realm, asked, Some(false))
    }

    /// There is none, for a reason that may lie in the request.
    pub(crate) fn doubted(&mut self, realm: &RealmKey, asked: Instant) -> bool {
        // What is down stays so until a reply.
        self.of(realm) == Some(true) && self.set(realm, asked, None)
    }

    fn set(&mut self, realm: &RealmKey, asked: Instant, is_reachable: Option<bool>) -> bool {
        let Some(known) = self.realms.get_mut(realm) else {
            return false;
        };
        if known.replied.max(self.changed) > Some(asked) {
            return false;
        }
        let before = std::mem::replace(&mut known.is_reachable, is_reachable);
        self.losses += u64::from(before == Some(true));
        before != is_reachable
    }

    /// The network is another one. What is known still stands, as most networks lead to the same upstreams; what is under way
    /// says nothing of this one unless it is a reply.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        self.changed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn realm(name: &str) -> Realm {
        Realm::parse(name.as_bytes()).unwrap()
    }

    fn key(name: &str) -> RealmKey {
        realm(name).key()
    }

    fn of(names: &[&str]) -> Reachability {
        let mut reachability = Reachability::default();
        reachability.configure(names.iter().map(|name| (realm(name), false)));
        reachability
    }

    fn reachable(reachability: &Reachability) -> Vec<&str> {
        reachability.reachable().map(Realm::as_str).collect()
    }

    #[test]
    fn a_reply_makes_it_reachable_and_a_failure_ends_that() {
        let (mut known, one, now) = (of(&["One", "TWO"]), key("ONE"), Instant::now());
        assert_eq!(known.of(&one), None);
        assert!(known.replied(&one, now) && !known.replied(&one, now));
        assert_eq!(reachable(&known), ["One"]);
        assert!(known.failed(&one, now) && !known.failed(&one, now));
        assert_eq!((known.of(&one), known.of(&key("TWO"))), (Some(false), None));
        assert!(known.replied(&one, now + SECOND));
        assert_eq!(reachable(&known), ["One"]);
    }

    #[test]
    fn what_began_before_a_reply_or_another_network_says_nothing() {
        let (mut known, one, began) = (of(&["ONE"]), key("ONE"), Instant::now());
        known.replied(&one, began + SECOND);
        assert!(!known.failed(&one, began) && !known.doubted(&one, began));
        known.network_changed(began + 3 * SECOND);
        assert!(!known.failed(&one, began + 2 * SECOND));
        assert_eq!(known.of(&one), Some(true), "the network alone says nothing");
        assert!(known.failed(&one, began + 3 * SECOND));
    }

    #[test]
    fn a_doubt_ends_what_is_known_to_be_up_and_mends_nothing() {
        let (mut known, one, now) = (of(&["ONE"]), key("ONE"), Instant::now());
        assert!(!known.doubted(&one, now));
        known.replied(&one, now);
        assert!(known.doubted(&one, now) && !known.doubted(&one, now));
        assert_eq!(known.of(&one), None);
        known.failed(&one, now);
        assert!(!known.doubted(&one, now));
        assert_eq!(known.of(&one), Some(false));
    }

    #[test]
    fn a_realm_of_the_configuration_is_known_while_an_upstream_of_it_stays() {
        let (mut known, now) = (of(&["ONE", "TWO", "THREE"]), Instant::now());
        for name in ["ONE", "TWO", "THREE"] {
            known.replied(&key(name), now);
        }
        known.configure([
            (realm("one"), true),
            (realm("TWO"), false),
            (realm("FOUR"), false),
        ]);
        assert_eq!(reachable(&known), ["one"]);
        let realms: Vec<_> = known.realms().map(Realm::as_str).collect();
        assert_eq!(realms, ["FOUR", "one", "TWO"]);
        assert!(!known.replied(&key("THREE"), now), "it is gone");
    }
}

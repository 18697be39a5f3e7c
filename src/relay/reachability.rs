//! Which realms of the configuration can be reached, by what came of their AS-REQs and TGS-REQs, and which of them SSSD may try.
//! Pure.
//!
//! SSSD begins a login again without end while it believes that a KDC can be reached, and kills each try after 6 s. So it must hear
//! of a failure early, and can do with hearing of it in vain for a moment. The rule is about whole exchanges: that an upstream fails
//! and another one replies is no failure. A reply says that the realm can be reached. An exchange that ends without one says that
//! it cannot, and so does one that has brought nothing for [`LATE`], whatever comes of it in the end. After a fault that any local
//! user's odd request can bring about, nothing is known, and the realm has to be asked. Neither counts if a reply came since that
//! exchange began, or the network became another one.
//!
//! A realm that can be reached is shut to SSSD for [`SHUT`] after a reply that SSSD takes for none, or does not wait for
//! ([`RetryReason`]), and if it is lost again and again. For what can't be seen from here, all are after more AS-REQs than logins
//! have, and when a client found no place.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::relay::quota::Quota;
use crate::wire::krb_error::{
    KDC_ERR_C_PRINCIPAL_UNKNOWN, KDC_ERR_WRONG_REALM, KRB_AP_ERR_SKEW, KRB_AP_ERR_TKT_EXPIRED,
    KRB_AP_ERR_TKT_NYV,
};
use crate::wire::{KerberosMessage, Kind, Realm, RealmKey, Reply, Service};

/// An exchange that takes longer looks like one that will bring nothing. Name, connect and TLS have failed by then, and half of
/// the time is left after which SSSD kills what waits (`krb5_auth_timeout`, 6 s).
pub(crate) const LATE: Duration = Duration::from_secs(3);
/// A verdict waits for no longer than this until who goes by what can be reached has acted on it: half of the time after which
/// libkrb5 asks somebody else as well.
pub(crate) const HELD: Duration = Duration::from_millis(500);
/// A login that SSSD begins again once in that time harms nobody.
const SHUT: Duration = Duration::from_secs(60);

/// So many AS-REQs come at once, and one more in each time of this: thirty logins, and then one in four seconds. SSSD begins up to a
/// hundred of them in a second.
const AS_REQS: u32 = 60;
const AS_REQ: Duration = Duration::from_secs(2);

/// A login has up to five requests, with SPAKE, armor and a ticket for the host by which SSSD validates the KDC. If each takes as long,
/// they are done before SSSD kills the login (`krb5_auth_timeout`, 6 s).
const SLOW: Duration = Duration::from_secs(1);

/// Why SSSD takes a KDC's reply for none, and begins the login again at once: what its `krb5_child` calls a network error, as it
/// does that no KDC can be reached, or that it was killed. A clock that differs is one as well under `kdc_timesync = 0`, and is not seen here, as
/// only the encrypted part of the reply tells.
#[derive(Clone, Debug)]
pub(crate) enum RetryReason {
    /// It took so long that what follows may take too long: the password would be tried again, and counted again.
    Slow,
    /// By the KDC's clock, a ticket or an authenticator is not of this time: often that of FAST's armor.
    Clock,
    /// libkrb5 asks this realm next (RFC 6806 7), and perhaps knows no KDC of it.
    Referral(Realm),
}

impl RetryReason {
    /// The one in `reply` to `message`, for which its client `waited` so long.
    pub(crate) fn of(message: &KerberosMessage, reply: &Reply, waited: Duration) -> Option<Self> {
        let is_login = message.kind() == Kind::AsReq;
        if message.service() == Service::Kdc && waited > SLOW {
            return Some(Self::Slow);
        }
        match reply.error_code()? {
            _ if message.service() != Service::Kdc => None,
            KRB_AP_ERR_TKT_NYV | KRB_AP_ERR_SKEW => Some(Self::Clock),
            // To others, that a ticket can't be renewed any more.
            KRB_AP_ERR_TKT_EXPIRED if is_login => Some(Self::Clock),
            KDC_ERR_WRONG_REALM | KDC_ERR_C_PRINCIPAL_UNKNOWN if is_login => {
                let realm = reply.client_realm()?;
                let is_another = realm.as_str() != message.realm().as_str();
                is_another.then_some(Self::Referral(realm))
            }
            _ => None,
        }
    }
}

/// What is known of the realms of the configuration, wildcards left out: under them clients choose the realms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reachability {
    realms: BTreeMap<RealmKey, RealmReach>,
    /// When the network or the configuration became another one.
    changed: Option<Instant>,
    losses: u64,
    configurations: u64,
    as_reqs: Quota,
    /// Of losses that are not shut for: one local user's odd requests can bring about any number.
    flaps: Quota,
}

#[derive(Clone, Debug)]
struct RealmReach {
    /// As the configuration spells it.
    realm: Realm,
    is_reachable: Option<bool>,
    replied: Option<Instant>,
    /// Until then SSSD may not try it.
    shut_until: Option<Instant>,
}

impl RealmReach {
    fn is_shut(&self, now: Instant) -> bool {
        self.shut_until > Some(now)
    }

    fn is_open(&self, now: Instant) -> bool {
        self.is_reachable == Some(true) && !self.is_shut(now)
    }
}

impl Reachability {
    /// The realms, as the configuration spells them.
    pub(crate) fn realms(&self) -> impl Iterator<Item = &Realm> {
        self.realms.values().map(|known| &known.realm)
    }

    /// Those that SSSD may try, until something changes or the first of the others [opens](Self::opens).
    pub(crate) fn open(&self, now: Instant) -> impl Iterator<Item = &Realm> {
        let open = self.realms.values().filter(move |of| of.is_open(now));
        open.map(|of| &of.realm)
    }

    /// When one that is shut opens.
    pub(crate) fn opens(&self, now: Instant) -> Option<Instant> {
        let shut = self.realms.values().filter(|of| of.is_shut(now));
        shut.filter_map(|of| of.shut_until).min()
    }

    /// Whether this one can be reached, if that is known.
    pub(crate) fn of(&self, realm: &RealmKey) -> Option<bool> {
        self.realms.get(realm)?.is_reachable
    }

    /// How often one was lost: it could be reached no more, or was shut.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// How often there was another configuration.
    pub(crate) fn configurations(&self) -> u64 {
        self.configurations
    }

    /// True if there is nothing to be known.
    pub(crate) fn is_empty(&self) -> bool {
        self.realms.is_empty()
    }

    /// The configuration has these realms now. Nothing is known of them: even one of before may have other upstreams. What is under
    /// way by the old ones says nothing unless it is a reply.
    pub(crate) fn configure(&mut self, realms: impl IntoIterator<Item = Realm>, now: Instant) {
        let unknown = |realm: Realm| RealmReach {
            is_reachable: None,
            replied: None,
            shut_until: None,
            realm,
        };
        let realms = realms.into_iter();
        self.realms = realms.map(|realm| (realm.key(), unknown(realm))).collect();
        self.configurations += 1;
        self.as_reqs = Quota::new(AS_REQS, AS_REQ);
        self.changed = Some(now);
    }

    /// A reply came. As each method that takes something in, this says whether it changes what is known.
    pub(crate) fn replied(&mut self, realm: &RealmKey, now: Instant) -> bool {
        let Some(known) = self.realms.get_mut(realm) else {
            return false;
        };
        known.replied = Some(now);
        known.is_reachable.replace(true) != Some(true)
    }

    /// A reply came that SSSD takes for none, if the realm that it `refers_to` can't be tried either. One that is shut already
    /// stays so for no longer: else one client that goes on asking would keep it from all others.
    pub(crate) fn turned_away(
        &mut self,
        realm: &RealmKey,
        refers_to: Option<&RealmKey>,
        now: Instant,
    ) -> bool {
        let next = refers_to.and_then(|realm| self.realms.get(realm));
        if next.is_some_and(|next| next.is_open(now)) {
            return false;
        }
        self.shut(|key| key == realm, now)
    }

    /// An AS-REQ came. If it is one too many, a login is begun again without end, whatever the reason, and perhaps by a user of another
    /// realm than the one that SSSD goes by.
    pub(crate) fn asked(&mut self, now: Instant) -> bool {
        !self.as_reqs.spend(now) && self.shut(|_| true, now)
    }

    /// A client found no place: it may have been a login, and begin again at once.
    pub(crate) fn refused(&mut self, now: Instant) -> bool {
        self.shut(|_| true, now)
    }

    fn shut(&mut self, which: impl Fn(&RealmKey) -> bool, now: Instant) -> bool {
        let losses = self.losses;
        for (key, known) in &mut self.realms {
            if which(key) && !known.is_shut(now) {
                known.shut_until = Some(now + SHUT);
                self.losses += 1;
            }
        }
        self.losses > losses
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

    /// Takes in what came of a request that was asked at `asked`, unless something later is known.
    fn set(&mut self, realm: &RealmKey, asked: Instant, is_reachable: Option<bool>) -> bool {
        let Some(known) = self.realms.get_mut(realm) else {
            return false;
        };
        if known.replied.max(self.changed) > Some(asked) {
            return false;
        }
        let before = std::mem::replace(&mut known.is_reachable, is_reachable);
        if before == Some(true) {
            self.losses += 1;
            if !self.flaps.spend(asked) {
                known.shut_until = Some(asked + SHUT);
            }
        }
        before != is_reachable
    }

    /// The network is another one. What is known still stands, as most networks lead to the same upstreams; what is under way
    /// says nothing of this one unless it is a reply.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        self.changed = Some(now);
    }
}

#[cfg(test)]
mod tests;

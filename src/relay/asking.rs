//! Asking whether a realm can be reached: what is asked, and when. Pure.
//!
//! A fleet of laptops must not bring down what has just come up again: the times double, chance takes off up to a quarter, and a
//! network that changes all the time has no more than its quota.

use std::time::{Duration, Instant};

use crate::relay::quota::Quota;
use crate::relay::routes::pause;
use crate::wire::{KerberosMessage, NotKerberos, Realm, Service, as_req};

/// What a question has in the place of a transport.
pub(crate) const OWN: &str = "own";
/// The longest time between two questions.
const LONGEST: Duration = Duration::from_secs(300);
/// So many questions are brought about from outside, by changes of the network above all, and one more in each minute.
const CHANGES: u32 = 20;
const CHANGE: Duration = Duration::from_secs(60);

/// A new request for a ticket for krbtgt/REALM, as kinit makes it, or for kadmin/changepw, as kpasswd does, in the name of
/// `nobody`: a name that no principal has, and that says in the KDC's log what this was. No password is tried by it, and no account
/// is locked. Its nonce, of which `chance` is any number, keeps every retransmit cache on the way from
/// taking it for another.
///
/// # Errors
/// The realm cannot be asked for.
pub(crate) fn question(
    nobody: &str,
    realm: &Realm,
    service: Service,
    chance: u64,
) -> Result<KerberosMessage, NotKerberos> {
    let octets = as_req::encode(nobody, realm, service, chance as u32);
    KerberosMessage::parse(Service::Kdc, octets.into())
}

/// When one realm is asked: at once, and again and again until it can be reached; and at each change of the network.
#[derive(Debug)]
pub(crate) struct AskSchedule {
    /// Between the first question and the second.
    first: Duration,
    /// Questions in vain, since there was another reason to ask than the time.
    asked: u32,
    due: Option<Instant>,
    quota: Quota,
}

impl AskSchedule {
    /// The first question is due `now`, and the second after `first`.
    pub(crate) fn new(first: Duration, now: Instant) -> Self {
        Self {
            first,
            asked: 0,
            due: Some(now),
            quota: Quota::new(CHANGES, CHANGE),
        }
    }

    /// When the next question is due by itself; never while the realm can be reached.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A question was asked. `chance` is any number.
    pub(crate) fn asked(&mut self, now: Instant, chance: u64) {
        self.due = Some(now + self.pause(chance));
        self.asked = self.asked.saturating_add(1);
    }

    /// This is what is known of the realm.
    pub(crate) fn know(&mut self, is_reachable: Option<bool>, now: Instant, chance: u64) {
        match (is_reachable, self.due) {
            (Some(true), _) => (self.due, self.asked) = (None, 0),
            (_, Some(_)) => {}
            // It was known until now, and is in doubt.
            (None, None) if self.quota.spend(now) => self.due = Some(now),
            (_, None) => self.due = Some(now + self.pause(chance)),
        }
    }

    /// The network is another one; says whether to ask now, whatever is known. If that is in vain, the times begin anew.
    pub(crate) fn network_changed(&mut self, now: Instant) -> bool {
        let asks = self.quota.spend(now);
        if asks {
            self.asked = 0;
        }
        asks
    }

    fn pause(&self, chance: u64) -> Duration {
        pause(self.first, LONGEST, self.asked, chance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Duration = Duration::from_secs(5);

    /// The times between questions in vain, in seconds.
    fn pauses(schedule: &mut AskSchedule, mut now: Instant, chance: u64) -> Vec<u64> {
        let pause = |_| {
            schedule.asked(now, chance);
            let due = schedule.due().unwrap();
            let pause = due - now;
            now = due;
            pause.as_secs()
        };
        (0..9).map(pause).collect()
    }

    #[test]
    fn the_times_double_up_to_five_minutes_and_chance_takes_off_a_quarter() {
        let now = Instant::now();
        let doubled = [5, 10, 20, 40, 80, 160, 300, 300, 300];
        assert_eq!(pauses(&mut AskSchedule::new(FIVE, now), now, 0), doubled);
        let early = [3, 7, 15, 30, 60, 120, 225, 225, 225];
        assert_eq!(pauses(&mut AskSchedule::new(FIVE, now), now, 1023), early);
    }

    #[test]
    fn it_asks_at_the_start_and_not_while_the_realm_can_be_reached() {
        let now = Instant::now();
        let mut schedule = AskSchedule::new(FIVE, now);
        assert_eq!(schedule.due(), Some(now));
        schedule.know(None, now, 0);
        assert_eq!(schedule.due(), Some(now));
        schedule.asked(now, 0);
        schedule.know(Some(true), now, 0);
        assert_eq!(schedule.due(), None);
        // It fails, and did so just now.
        schedule.know(Some(false), now, 0);
        assert_eq!(schedule.due(), Some(now + FIVE));
        schedule.know(Some(false), now + FIVE / 2, 0);
        assert_eq!(schedule.due(), Some(now + FIVE), "not put off");
    }

    #[test]
    fn a_doubt_is_asked_about_at_once_within_bounds() {
        let now = Instant::now();
        let mut schedule = AskSchedule::new(FIVE, now);
        for doubt in 0..2 * CHANGES {
            schedule.know(Some(true), now, 0);
            schedule.know(None, now, 0);
            let pause = schedule.due().unwrap() - now;
            let expected = if doubt < CHANGES {
                Duration::ZERO
            } else {
                FIVE
            };
            assert_eq!(pause, expected, "{doubt}");
        }
        // A question in vain is one, whatever it says of the upstream.
        schedule.asked(now, 0);
        schedule.know(None, now, 0);
        assert_eq!(schedule.due(), Some(now + FIVE));
    }

    #[test]
    fn each_network_is_asked_on_within_bounds_and_anew() {
        let now = Instant::now();
        let mut schedule = AskSchedule::new(FIVE, now);
        pauses(&mut schedule, now, 0);
        for _ in 0..CHANGES {
            assert!(schedule.network_changed(now));
        }
        schedule.asked(now, 0);
        assert_eq!(schedule.due(), Some(now + FIVE));
        assert!(!schedule.network_changed(now));
        assert!(schedule.network_changed(now + CHANGE));
    }
}

//! The network that this machine is on, as far as it matters: that it has become another one, or that the machine slept.
//!
//! Nothing is polled and no timer runs. What has changed is heard from the kernel (`Changes`, on Linux), and that the machine slept is
//! seen at the next request, by [`Sleep`]: one clock of the kernel goes on meanwhile and the other one stands still (clock_gettime(2)).
//! The two clocks that are compared stand on the caller's side.

#[cfg(target_os = "linux")]
mod seen;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
pub use watch::Changes;

use std::sync::Mutex;
use std::time::Duration;

use super::sync::lock;

/// Less is what lies between the readings of two clocks.
const SHORTEST: Duration = Duration::from_millis(500);

/// Both clocks, read one right after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Since the machine started.
    pub boot: Duration,
    /// The same without the time that it slept.
    pub awake: Duration,
}

impl Clocks {
    /// Both at this moment; elsewhere than on Linux they stand still, and no sleep is seen.
    #[cfg(target_os = "linux")]
    pub fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        let awake = read(ClockId::Monotonic);
        let boot = read(ClockId::Boottime);
        Self { boot, awake }
    }

    /// Both at this moment; elsewhere than on Linux they stand still, and no sleep is seen.
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Self {
        Self::default()
    }

    fn slept(self) -> Duration {
        self.boot.saturating_sub(self.awake)
    }
}

/// How long the machine had slept in all when it was last asked.
#[derive(Debug)]
pub struct Sleep(Mutex<Duration>);

impl Sleep {
    /// Counts from `now`.
    pub fn since(now: Clocks) -> Self {
        Self(Mutex::new(now.slept()))
    }

    /// How long the machine slept since it was asked last, if it did.
    pub fn until(&self, now: Clocks) -> Option<Duration> {
        let mut before = lock(&self.0);
        let slept = now.slept().saturating_sub(*before);
        if slept < SHORTEST {
            return None;
        }
        *before = now.slept();
        Some(slept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(boot: u64, awake: u64) -> Clocks {
        let [boot, awake] = [boot, awake].map(Duration::from_millis);
        Clocks { boot, awake }
    }

    #[test]
    fn a_sleep_is_told_once_and_with_its_length() {
        let sleep = Sleep::since(clocks(10_000, 4_000));
        assert_eq!(sleep.until(clocks(20_000, 14_000)), None, "awake");
        let slept = sleep.until(clocks(90_000, 20_000));
        assert_eq!(slept, Some(Duration::from_secs(64)));
        assert_eq!(sleep.until(clocks(90_000, 20_000)), None, "told");
        assert!(sleep.until(clocks(91_000, 20_500)).is_some(), "the next");
    }

    #[test]
    fn what_lies_between_two_readings_is_no_sleep() {
        let sleep = Sleep::since(clocks(1_000, 1_000));
        assert_eq!(sleep.until(clocks(2_499, 2_000)), None);
        assert_eq!(sleep.until(clocks(2_000, 2_400)), None, "nor the reverse");
        assert!(sleep.until(clocks(2_500, 2_000)).is_some());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_clocks_of_this_machine_run() {
        let before = Clocks::now();
        assert!(before.awake > Duration::ZERO);
        assert!(before.boot + SHORTEST > before.awake);
        assert!(Clocks::now().awake >= before.awake);
    }
}

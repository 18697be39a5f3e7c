//! What is counted: everything that a peer can cause and that is therefore not logged.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more.
    pub fn add_all(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many by now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Lines of the log that were left out, by now. There is one log, whatever the number of relays.
pub(crate) static LOG_LINES_LEFT_OUT: Counter = Counter::new();

/// A counter as those see it who show them all.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
    /// How many by now.
    pub value: u64,
}

/// Declares the counters once: as fields for who counts, and as a list for who shows them. The comment is the help text.
macro_rules! counters {
    ($(#[doc = $help:literal] pub $name:ident: Counter,)*) => {
        /// The counters of one relay.
        #[derive(Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter,)*
        }

        impl Counters {
            /// All of them.
            pub fn each(&self) -> impl Iterator<Item = Counted> {
                [$(Counted {
                    name: stringify!($name),
                    help: $help.trim_ascii(),
                    value: self.$name.get(),
                },)*]
                .into_iter()
                .chain([Counted {
                    name: "log_lines_left_out",
                    help: "Lines of the log at info and above that were left out because there were too many of them.",
                    value: LOG_LINES_LEFT_OUT.get(),
                }])
            }
        }
    };
}

counters! {
    /// Requests that are no AS-REQ, TGS-REQ or kpasswd request.
    pub not_kerberos: Counter,
    /// Requests over a stream or HTTP that are longer than allowed.
    pub too_long: Counter,
    /// POSTs and other HTTP requests refused before there was a Kerberos message: path, method, length, envelope.
    pub refused: Counter,
    /// HTTP requests answered 429 or turned away before TLS: too many of them, or of wrong passwords, from one client.
    pub throttled: Counter,
    /// Requests whose target-domain is another realm than the one inside.
    pub other_realm: Counter,
    /// Datagrams dropped because `max-in-flight` of them wait for their answers.
    pub dropped: Counter,
    /// Connections closed to make room for new ones.
    pub evicted: Counter,
    /// Connections closed at once, because all others wait for their answers.
    pub turned_away: Counter,
    /// Streams closed because nothing came of a request for `idle-timeout-seconds`.
    pub idle: Counter,
    /// Streams closed because a request was not whole within `idle-timeout-seconds`.
    pub slow: Counter,
    /// Streams closed because their clients did not take a reply within `idle-timeout-seconds`.
    pub untaken: Counter,
    /// Streams closed because the octets of long requests took all the room that there is for them.
    pub crowded_out: Counter,
    /// Copies that joined an exchange under way.
    pub joined: Counter,
    /// Requests answered from the lookaside.
    pub replayed: Counter,
    /// Answers that the lookaside forgot before their time, to stay within its octets.
    pub forgotten: Counter,
    /// Requests for a realm, or a service of one, of which no upstream is configured or known.
    pub no_upstream: Counter,
    /// Requests that found no place among `max-in-flight` within their deadline, or among those that wait for one.
    pub overloaded: Counter,
    /// Look-ups in DNS of where a realm's requests go, which requests brought about.
    pub look_ups: Counter,
    /// Copies of requests handed to an upstream.
    pub attempts: Counter,
    /// Copies sent because an answer was late or the network changed.
    pub raced: Counter,
    /// Answers of upstreams that are longer than a reply may be.
    pub reply_too_long: Counter,
    /// Replies that are longer than `udp-reply-max-bytes`: the client was told to come back over TCP.
    pub too_big_for_udp: Counter,
    /// Exchanges that ended with a reply.
    pub replied: Counter,
    /// Exchanges that ended with a verdict.
    pub failed: Counter,
    /// Exchanges, connections and listeners that ended in a panic.
    pub panicked: Counter,
    /// Changes of the network.
    pub networks: Counter,
    /// Times that the machine slept.
    pub sleeps: Counter,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Counters");
        for Counted { name, value, .. } in self.each() {
            shown.field(name, &value);
        }
        shown.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_with_what_they_count() {
        let counters = Counters::default();
        counters.evicted.add();
        let counted: Vec<_> = counters.each().filter(|each| each.value > 0).collect();
        assert_eq!(counted.len(), 1);
        assert_eq!((counted[0].name, counted[0].value), ("evicted", 1));
        for Counted { help, .. } in counters.each() {
            assert!(help.ends_with('.') && !help.starts_with(' '), "{help:?}");
            assert!(!help.contains(['\n', '\\']), "{help:?}");
        }
    }
}

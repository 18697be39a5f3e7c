//! What is counted: everything that a peer can cause and that is therefore not logged.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::relay::status::CounterStatus;

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// None yet.
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

/// Which command counts something, and shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedBy {
    /// Both.
    Both,
    /// `loopkdc run`.
    Run,
    /// `loopkdc gateway`.
    Gateway,
}

/// Declares the counters once: as fields for who counts, and as a list for who shows them. The comment is the help text. A
/// new one needs no more than its line below: `loopkdc status` shows those that are not 0, `status --json` and the
/// gateway's `/metrics` all that their command has.
macro_rules! counters {
    ($(#[doc = $help:literal] $name:ident: $by:ident,)*) => {
        /// The counters of one relay.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter,)*
        }

        impl Counters {
            /// Those of `command`.
            pub fn each(&self, command: CountedBy) -> impl Iterator<Item = CounterStatus> {
                let all = [
                    $((CountedBy::$by, stringify!($name), $help, self.$name.get()),)*
                    (
                        CountedBy::Both,
                        "log_lines_left_out",
                        "Lines of the log at info and above that were left out because there were too many of them.",
                        LOG_LINES_LEFT_OUT.get(),
                    ),
                ];
                let its = move |by| by == CountedBy::Both || by == command;
                let its = all.into_iter().filter(move |(by, ..)| its(*by));
                its.map(|(_, name, help, value)| CounterStatus {
                    name: name.into(),
                    help: help.trim_ascii().into(),
                    value,
                })
            }
        }
    };
}

counters! {
    /// Requests that are no AS-REQ, TGS-REQ or kpasswd request, or at a gateway no valid one.
    not_kerberos: Both,
    /// Requests over a stream or HTTP that are longer than allowed.
    too_long: Both,
    /// POSTs and other HTTP requests refused before there was a Kerberos message: path, method, length, envelope, PROXY header, certificate, token.
    refused: Gateway,
    /// HTTP requests answered 429 or turned away before TLS: too many of them, or of failed logins, from one client.
    throttled: Gateway,
    /// TLS handshakes that ended because of the client's certificate: there was none, or it is not trusted, expired, revoked or too long.
    certificates_refused: Gateway,
    /// Requests answered KDC_ERR_POLICY because `preauth`, `deny-principals` or `allow-services` of their realm says so.
    refused_by_policy: Gateway,
    /// Requests whose target-domain is another realm than the one inside.
    other_realm: Gateway,
    /// Datagrams dropped because `max-in-flight` of them wait for their answers.
    dropped: Run,
    /// Connections closed to make room for new ones.
    evicted: Both,
    /// Connections closed at once, because all others wait for their answers.
    turned_away: Both,
    /// Streams closed because nothing came of a request for `idle-timeout-seconds`.
    idle: Run,
    /// Streams closed because a request was not whole within `idle-timeout-seconds`.
    slow: Run,
    /// Streams closed because their clients did not take a reply within `idle-timeout-seconds`.
    untaken: Run,
    /// Streams closed because the octets of long requests took all the room that there is for them.
    crowded_out: Run,
    /// Copies that joined an exchange under way.
    joined: Both,
    /// Requests answered from the retransmit cache.
    replayed: Both,
    /// Answers that the retransmit cache forgot before their time, to stay within its octets.
    forgotten: Both,
    /// Requests for a realm, or a service of one, of which no proxy or KDC is configured or known.
    no_upstream: Both,
    /// Requests that found no place among `max-in-flight` in time, or gave theirs to others after a second without an answer.
    overloaded: Both,
    /// Requests refused because their user had too many under way, or too many of his logins had failed: those of others went on.
    held_back: Run,
    /// Look-ups in DNS of where a realm's requests go, which requests brought about.
    look_ups: Both,
    /// Attempts: requests handed to a proxy or KDC.
    attempts: Both,
    /// Attempts made because an answer was late or the network changed.
    raced: Both,
    /// Answers of proxies and KDCs that are longer than a reply may be.
    reply_too_long: Both,
    /// Replies that are longer than `udp-reply-max-bytes`: the client was told to come back over TCP.
    too_big_for_udp: Run,
    /// Exchanges by which the daemon itself asked whether a realm can be reached; they are counted as others, too.
    asked: Both,
    /// Exchanges that ended with a reply.
    replied: Both,
    /// Exchanges that asked a proxy or KDC and got no reply.
    failed: Both,
    /// Exchanges, connections and listeners that ended in a panic.
    panicked: Both,
    /// Changes of the network.
    networks: Run,
    /// Times that the machine slept.
    sleeps: Both,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_with_what_they_count() {
        let counters = Counters::default();
        counters.evicted.add();
        for command in [CountedBy::Run, CountedBy::Gateway] {
            let counted: Vec<_> = counters.each(command).collect();
            let of = |name: &str| {
                let one = counted.iter().find(|each| each.name.as_str() == name);
                one.map(|each| each.value)
            };
            assert_eq!((of("evicted"), of("turned_away")), (Some(1), Some(0)));
            assert_eq!(of("untaken").is_some(), command == CountedBy::Run);
            assert_eq!(of("throttled").is_some(), command == CountedBy::Gateway);
            for CounterStatus { help, .. } in &counted {
                let help = help.as_str();
                assert!(help.ends_with('.') && !help.starts_with(' '), "{help:?}");
                assert!(!help.contains(['\n', '\\']), "{help:?}");
            }
        }
    }
}

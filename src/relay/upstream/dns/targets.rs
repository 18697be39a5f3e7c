//! SRV records to the targets that are asked, in their order. Pure: the random numbers are an argument.

use std::cmp::Reverse;

use super::order::{Ranked, ordered};
use super::{MAX_REFUSED, Refusal, Refused};
use crate::relay::upstream::kdc::Transport;

/// A KDC or password service as DNS knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `host:port`.
    pub name: String,
    /// TCP first if it was found as a TCP service, UDP first if it was found as a UDP service only.
    pub transport: Transport,
}

/// An SRV record (RFC 2782), and what the service was asked for over.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) transport: Transport,
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    /// In lower case and without the last dot: empty for the root, which says that there is no such service.
    pub(super) host: String,
}

/// The targets of one service in the order to ask them, and what was refused.
pub(super) fn choose(
    records: Vec<Record>,
    ports: &[u16],
    random: &mut impl FnMut(u32) -> u32,
) -> (Vec<Target>, Vec<Refused>) {
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for record in records.into_iter().filter(|record| !record.host.is_empty()) {
        match record.refusal(ports) {
            Some(why) => refused.push(record.refused(why)),
            None => good.push(record),
        }
    }
    let (targets, surplus) = ordered(once_each(good), random);
    let too_many = |record: &Record| record.refused(Refusal::TooMany);
    refused.extend(surplus.iter().map(too_many));
    refused.truncate(MAX_REFUSED);
    (targets.into_iter().map(Record::target).collect(), refused)
}

impl Ranked for Record {
    fn priority(&self) -> u16 {
        self.priority
    }

    fn weight(&self) -> u16 {
        self.weight
    }

    fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Record {
    fn refusal(&self, ports: &[u16]) -> Option<Refusal> {
        match (is_host(&self.host), ports.contains(&self.port)) {
            (false, _) => Some(Refusal::Name),
            (true, false) => Some(Refusal::Port),
            (true, true) => None,
        }
    }

    fn refused(&self, why: Refusal) -> Refused {
        let name = self.name();
        Refused { name, why }
    }

    fn target(self) -> Target {
        Target {
            name: self.name(),
            transport: self.transport,
        }
    }
}

/// Whether `name` is one of labels that hosts and domains are named with; an underscore is common in domains.
pub(super) fn is_host(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What is offered over both transports is one target, that of TCP.
fn once_each(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| {
        let place = |record: &Record| (record.transport, record.priority, Reverse(record.weight));
        (a.name(), place(a)).cmp(&(b.name(), place(b)))
    });
    records.dedup_by_key(|record| record.name());
    records
}

#[cfg(test)]
mod tests {
    use super::super::order::MOST;
    use super::*;
    use Transport::{TcpFirst, UdpFirst};

    fn record(transport: Transport, priority: u16, weight: u16, host: &str) -> Record {
        Record {
            transport,
            priority,
            weight,
            port: 88,
            host: host.to_owned(),
        }
    }

    fn tcp(priority: u16, weight: u16, host: &str) -> Record {
        record(TcpFirst, priority, weight, host)
    }

    fn names(targets: &[Target]) -> Vec<&str> {
        let name = |target: &'_ Target| target.name.trim_end_matches(":88").len();
        targets
            .iter()
            .map(|target| &target.name[..name(target)])
            .collect()
    }

    fn ordered(records: Vec<Record>, mut random: impl FnMut(u32) -> u32) -> Vec<String> {
        let (targets, refused) = choose(records, &[88], &mut random);
        assert_eq!(refused, []);
        names(&targets).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_lowest_priority_comes_first_whatever_the_weights() {
        let records = vec![tcp(20, 0, "c"), tcp(0, 1, "a"), tcp(10, 65_535, "b")];
        for drawn in [0, u32::MAX] {
            assert_eq!(ordered(records.clone(), |n| drawn.min(n)), ["a", "b", "c"]);
        }
    }

    /// The running sums are 0, 10, 40, 100.
    #[test]
    fn within_a_priority_the_number_drawn_picks_by_running_sum() {
        let records = vec![
            tcp(0, 60, "d"),
            tcp(0, 10, "b"),
            tcp(0, 0, "a"),
            tcp(0, 30, "c"),
        ];
        // After the zero the order is by weight: 60, 30, 10.
        for (drawn, first) in [
            (0, "a"),
            (1, "d"),
            (60, "d"),
            (61, "c"),
            (90, "c"),
            (91, "b"),
            (100, "b"),
        ] {
            let mut draws = 0;
            let order = ordered(records.clone(), |n| {
                draws += 1;
                match draws {
                    1 => {
                        assert_eq!(n, 100);
                        drawn
                    }
                    _ => 0,
                }
            });
            assert_eq!(order[0], first, "{drawn}");
            assert_eq!((order.len(), draws), (4, 4));
        }
    }

    #[test]
    fn chance_is_in_proportion_to_the_weights() {
        let records = [tcp(0, 1, "light"), tcp(0, 3, "heavy")];
        let mut seed = 1_u32;
        let mut random = |n: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % (n + 1)
        };
        let first = (0..1_000).filter(|_| ordered(records.to_vec(), &mut random)[0] == "heavy");
        // Of the numbers 0 to 4, heavy's are 0 to 3: it stands first.
        let first = first.count();
        assert!((750..850).contains(&first), "{first}");
    }

    #[test]
    fn without_weights_each_is_named_once() {
        let records = vec![tcp(0, 0, "a"), tcp(0, 0, "b"), tcp(0, 0, "c")];
        assert_eq!(ordered(records, |_| 0), ["a", "b", "c"]);
        assert_eq!(ordered(Vec::new(), |_| 0), [""; 0]);
    }

    #[test]
    fn what_is_found_over_both_is_asked_over_tcp_and_named_once() {
        let udp = |priority, host| record(UdpFirst, priority, 0, host);
        let records = vec![
            udp(0, "both"),
            tcp(1, 0, "both"),
            udp(2, "only"),
            udp(3, "only"),
        ];
        let (targets, _) = choose(records, &[88], &mut |_| 0);
        let target = |name: &str, transport| Target {
            name: name.to_owned(),
            transport,
        };
        assert_eq!(
            targets,
            [target("both:88", TcpFirst), target("only:88", UdpFirst)]
        );
    }

    #[test]
    fn the_root_means_that_there_is_none() {
        assert_eq!(ordered(vec![tcp(0, 0, "")], |_| 0), [""; 0]);
        assert_eq!(ordered(vec![tcp(0, 0, ""), tcp(1, 0, "a")], |_| 0), ["a"]);
    }

    #[test]
    fn ports_and_names_that_are_not_allowed_are_refused_and_told() {
        let long = ["a"; 128].join(".");
        let mut records = vec![
            tcp(0, 0, "a"),
            tcp(0, 0, "b"),
            tcp(0, 0, "c d"),
            tcp(0, 0, &long),
        ];
        records[1].port = 389;
        let (targets, refused) = choose(records, &[88, 464], &mut |_| 0);
        assert_eq!(names(&targets), ["a"]);
        let refused: Vec<_> = refused
            .iter()
            .map(|no| (no.name.as_str(), no.why))
            .collect();
        let long = format!("{long}:88");
        let expected = [
            ("b:389", Refusal::Port),
            ("c d:88", Refusal::Name),
            (&long, Refusal::Name),
        ];
        assert_eq!(refused, expected);
    }

    #[test]
    fn the_best_sixteen_are_kept_and_are_the_same_each_time() {
        let mut records: Vec<_> = (0..40)
            .map(|i: u16| tcp(i % 4, i % 5, &format!("h{i}")))
            .collect();
        let kept = |records: &[Record], random: &mut dyn FnMut(u32) -> u32| {
            let (mut targets, refused) = choose(records.to_vec(), &[88], &mut |n| random(n));
            targets.sort();
            assert_eq!((targets.len(), refused.len()), (MOST, MAX_REFUSED));
            assert!(refused.iter().all(|no| no.why == Refusal::TooMany));
            targets
        };
        let first = kept(&records, &mut |_| 0);
        assert!(first.iter().any(|target| target.name == "h0:88"));
        assert!(!first.iter().any(|target| target.name == "h3:88"));
        records.reverse();
        assert_eq!(kept(&records, &mut |n| n), first);
    }
}

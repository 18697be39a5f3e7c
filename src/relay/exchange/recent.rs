//! The last exchanges, and when the network changed last, for the status.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::relay::status::ExchangeRecord;
use crate::relay::sync::lock;

/// So many exchanges are kept.
const KEPT: usize = 50;

/// The last exchanges and changes.
#[derive(Debug)]
pub(super) struct RecentExchanges {
    records: Mutex<VecDeque<ExchangeRecord>>,
    /// When the network changed last, and when a request showed last that the machine had slept.
    network_times: Mutex<(Option<SystemTime>, Option<SystemTime>)>,
}

impl Default for RecentExchanges {
    fn default() -> Self {
        Self {
            // One more for the moment between the next one's coming and the oldest one's going.
            records: Mutex::new(VecDeque::with_capacity(KEPT + 1)),
            network_times: Mutex::default(),
        }
    }
}

impl RecentExchanges {
    pub(super) fn push(&self, record: ExchangeRecord) {
        let mut records = lock(&self.records);
        records.push_back(record);
        let oldest = (records.len() > KEPT).then(|| records.pop_front());
        drop(records);
        drop(oldest);
    }

    /// The newest first.
    pub(super) fn records(&self) -> Vec<ExchangeRecord> {
        lock(&self.records).iter().rev().cloned().collect()
    }

    pub(super) fn network_changed(&self) {
        lock(&self.network_times).0 = Some(SystemTime::now());
    }

    pub(super) fn woke(&self) {
        lock(&self.network_times).1 = Some(SystemTime::now());
    }

    pub(super) fn network_times(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        *lock(&self.network_times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::status::ExchangeOutcome;

    fn record(took_ms: u64) -> ExchangeRecord {
        ExchangeRecord {
            ended_at: 0,
            kind: "AS-REQ".into(),
            realm: "EXAMPLE.COM".into(),
            transport: "udp".into(),
            upstream: None,
            outcome: ExchangeOutcome::NoUpstream,
            fault: None,
            krb_error: None,
            took_ms,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn the_last_fifty_are_kept_the_newest_first() {
        let recent = RecentExchanges::default();
        let room = lock(&recent.records).capacity();
        (0..1000).for_each(|number| recent.push(record(number)));
        let kept = recent.records();
        let numbers: Vec<_> = kept.iter().map(|record| record.took_ms).collect();
        assert_eq!(numbers, (950..1000).rev().collect::<Vec<_>>());
        assert_eq!(lock(&recent.records).capacity(), room, "it never grew");
    }
}

//! Datagrams that mean no good: 100,000 random and mutated ones, and then a good one is answered.

use std::fs;
use std::path::Path;

use loopkdc::wire::Service;

use crate::daemon::Daemon;
use crate::messages::Kind;
use crate::relay::{Reached, Setup};
use crate::upstream::Plan;

const DATAGRAMS: usize = 100_000;
/// So many fit a socket's buffer, so that none is lost before it is read.
const BATCH: usize = 50;
/// No mutation makes another realm of the vectors' this one.
const REALM: &str = "SERVED.TEST";
/// What the retransmit cache may hold, and as much again for buffers and the allocator.
const MOST_GROWTH: u64 = 16 * 1024;

/// xorshift64*: the same datagrams in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// One of `samples` with some octets changed, cut, repeated, or replaced as a whole.
    fn datagram(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = samples[self.below(samples.len())].clone();
        let place = self.below(octets.len());
        match self.below(8) {
            0 => {
                let count = self.below(400);
                return self.octets(count);
            }
            1 => octets.truncate(place),
            2 => octets.extend_from_within(place..),
            3 => drop(octets.drain(..place)),
            _ => {
                for _ in 0..=self.below(4) {
                    // Structure is dense at the front.
                    let bound = [32, octets.len()][self.below(2)].min(octets.len());
                    let place = self.below(bound);
                    octets[place] = self.next() as u8;
                }
            }
        }
        octets
    }
}

/// What real clients sent, and replies, which are no requests.
fn samples() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let kinds = [Some("request".as_ref()), Some("reply".as_ref())];
    let mut files: Vec<_> = files
        .filter(|file| kinds.contains(&file.extension()))
        .collect();
    files.sort();
    assert!(files.len() > 20, "the vectors are there");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_datagrams_ends_with_a_good_one_answered() {
    let upstream = Plan::granting().start();
    let relay = Daemon::start(Setup::new().realm(REALM, &[&upstream], "").deadline(1));
    let (mut random, samples) = (Random(0x1001_0c88), samples());
    let targets = [Service::Kdc, Service::Kpasswd];
    let ill = [relay.udp(targets[0]).await, relay.udp(targets[1]).await];
    // Copies of one request tell that all before them was read.
    let good = Kind::Preauth.request(REALM);
    let client = relay.udp(Service::Kdc).await;
    client.send(&good.bytes).await;
    let reply = client.hear().await;
    let before = relay.memory();

    for _ in 0..DATAGRAMS / BATCH {
        for _ in 0..BATCH {
            ill[random.below(2)].send(&random.datagram(&samples)).await;
        }
        client.send(&good.bytes).await;
        assert_eq!(client.hear().await, reply);
    }

    let fresh = relay
        .ask(crate::relay::Transport::Udp, &Kind::Change.request(REALM))
        .await;
    assert_ne!(fresh.message()[4..6], [0, 0], "an AP-REP");
    let growth = relay.memory().saturating_sub(before);
    assert!(growth < MOST_GROWTH, "{growth} KiB more");
    assert_eq!(
        upstream.posts(),
        2,
        "nothing but the good ones went upstream"
    );
}

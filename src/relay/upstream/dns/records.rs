//! Records to the targets that are asked, in their order. Pure: the source of chance is an argument.
//!
//! KDCs are named by SRV records (RFC 2782), those that take writes by `_kerberos-master` too. KDC proxies are named by URI records (RFC 7553) as MIT krb5 reads them,
//! `krb5srv:FLAGS:kkdcp:URL`, where the flag `m` says that it leads to the KDC that takes writes; and by SRV records of
//! `_kerberos._https` as Kerberos.NET reads them: a host and a port, and the path that [MS-KKDCP] 2.1 gives the service.

use std::cmp::Reverse;
use std::hash::{BuildHasher, RandomState};

use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use url::Host;

use super::{Discovery, RefusedRecord, UpstreamTarget};
use crate::relay::explain::UpstreamKind;
use crate::relay::upstream::dns::ProxyUrl;
use crate::relay::upstream::kdc::Transport;

/// RFC 7553 4.1.
pub(super) const URI: RecordType = RecordType::Unknown(256);
/// As many of one service as are kept: primary ones, then the best by priority, then by weight.
const MOST: usize = 16;
/// As many refusals as are worth telling.
const MAX_REFUSED: usize = 16;
/// Characters of a record that are worth telling: a host and its port.
const MAX_TOLD: usize = 260;

const BAD_NAME: &str = "it is no name of a host";
const BAD_PORT: &str = "its port is not among discover-ports";
const NO_PROXY: &str = "it is no URL of a KDC proxy";
const PLAINTEXT: &str = "it is plain http, and allow-plaintext is not set";
const TOO_MANY: &str = "there are too many";

/// Priority, the lowest first; then weight, the share of the requests among those of the same priority.
type Rank = (u16, Reverse<u16>);

/// What a record names and may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    rank: Rank,
    /// It leads to the KDC that takes writes.
    pub(super) primary: bool,
    target: UpstreamTarget,
}

/// What the records that answer a query amount to.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) candidates: Vec<Candidate>,
    pub(super) refused: Vec<RefusedRecord>,
    /// How long it holds, in seconds: as long as the least of it.
    pub(super) ttl: u32,
}

impl Records {
    /// These and the answers to another query about the same service.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.candidates.extend(other.candidates);
        self.refused.extend(other.refused);
        self.ttl = self.ttl.min(other.ttl);
        self
    }

    /// They are about primary KDCs, which come last for what any KDC serves, unless other records name them too.
    pub(super) fn of_primary(mut self) -> Self {
        for candidate in &mut self.candidates {
            candidate.primary = true;
            candidate.rank.0 = u16::MAX;
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.candidates.is_empty() && self.refused.is_empty()
    }

    /// The best [`MOST`], primary ones before others, in the order to ask them.
    pub(super) fn best(self) -> Self {
        // The standard library's hasher is seeded by the system; more is not asked of chance that spreads load.
        self.best_by(&RandomState::new())
    }

    fn best_by(mut self, chance: &impl BuildHasher) -> Self {
        // Each is named once, at its best place, and what is offered over both transports is asked over TCP.
        let candidates = &mut self.candidates;
        candidates.sort_by(|a, b| (&a.target, a.rank).cmp(&(&b.target, b.rank)));
        candidates.dedup_by(|one, before| {
            let is_same = one.target.name() == before.target.name();
            if is_same {
                before.primary |= one.primary;
                before.rank = before.rank.min(one.rank);
            }
            is_same
        });
        // By name within a rank, so that the same records always leave the same ones; among them the primary ones.
        candidates.sort_by_key(|candidate| (!candidate.primary, candidate.rank));
        let surplus = candidates.split_off(candidates.len().min(MOST));
        let too_many = surplus
            .iter()
            .map(|one| refused(one.target.name(), TOO_MANY));
        self.refused.extend(too_many);
        self.refused.truncate(MAX_REFUSED);
        candidates.sort_by_cached_key(|candidate| candidate.turn(chance));
        self
    }

    pub(super) fn targets(&self) -> Vec<UpstreamTarget> {
        let candidates = self.candidates.iter();
        candidates.map(|one| one.target.clone()).collect()
    }

    /// Those among the targets that take writes.
    pub(super) fn primary(&self) -> Vec<UpstreamTarget> {
        let primary = self.candidates.iter().filter(|one| one.primary);
        primary.map(|one| one.target.clone()).collect()
    }
}

impl Candidate {
    /// By priority, and within one by chance in proportion to the weights, as RFC 2782 has it for SRV and RFC 7553 5.3 for URI
    /// records: each draws a time from an exponential distribution with its weight as the rate, and the shortest time comes
    /// first. A record without weight has a very small chance and not none. Floats that are not negative sort as their bits do.
    fn turn(&self, chance: &impl BuildHasher) -> (u16, u64) {
        let (priority, Reverse(weight)) = self.rank;
        let drawn = (chance.hash_one(&self.target) >> 32) as u32;
        let uniform = (f64::from(drawn) + 0.5) / 2f64.powi(32);
        let time = -uniform.ln() / f64::from(weight).max(0.01);
        (priority, time.to_bits())
    }
}

impl Discovery {
    /// What these records of a service over `transport` amount to; those that say nothing here are left out.
    pub(super) fn judge(&self, records: &[Record], transport: Transport) -> Records {
        let mut judged = Records {
            ttl: records.iter().map(|record| record.ttl).min().unwrap_or(0),
            ..Records::default()
        };
        for record in records {
            match self.judge_one(&record.data, transport) {
                Some(Ok(candidate)) => judged.candidates.push(candidate),
                Some(Err(refused)) => judged.refused.push(refused),
                None => {}
            }
        }
        judged
    }

    fn judge_one(
        &self,
        data: &RData,
        transport: Transport,
    ) -> Option<Result<Candidate, RefusedRecord>> {
        match data {
            // The root says that there is no such service.
            RData::SRV(srv) if !srv.target.is_root() => Some(self.service(srv, transport)),
            // An answer may hold what was not asked for, and these are about KDC proxies alone.
            RData::Unknown { code, rdata } if *code == URI && self.kind == UpstreamKind::Proxy => {
                self.uri(&rdata.anything)
            }
            _ => None,
        }
    }

    fn service(&self, srv: &SRV, transport: Transport) -> Result<Candidate, RefusedRecord> {
        let host = srv.target.to_lowercase().to_ascii();
        let host = host.trim_end_matches('.');
        let name = format!("{host}:{}", srv.port);
        let rank = (srv.priority, Reverse(srv.weight));
        if !is_host(host) {
            return Err(refused(&name, BAD_NAME));
        }
        if self.kind == UpstreamKind::Proxy {
            let url = ProxyUrl::read(&format!("https://{name}/"));
            let url = url.map_err(|_| refused(&name, BAD_NAME))?;
            return self.proxy(rank, false, url);
        }
        if !self.ports.contains(&srv.port) {
            return Err(refused(&name, BAD_PORT));
        }
        Ok(Candidate {
            rank,
            primary: false,
            target: UpstreamTarget::Kdc { name, transport },
        })
    }

    /// The data of a URI record (RFC 7553 4.5). Nothing if it is about a KDC itself, or a way to it that nobody here knows.
    fn uri(&self, data: &[u8]) -> Option<Result<Candidate, RefusedRecord>> {
        let (priority, rest) = data.split_first_chunk()?;
        let (weight, target) = rest.split_first_chunk()?;
        let [priority, weight] = [priority, weight].map(|number| u16::from_be_bytes(*number));
        let target = String::from_utf8_lossy(target);
        let fields: Vec<_> = target.splitn(4, ':').collect();
        let (flags, url) = match *fields.as_slice() {
            [scheme, flags, transport, url] if scheme.eq_ignore_ascii_case("krb5srv") => {
                if !transport.eq_ignore_ascii_case("kkdcp") {
                    return None;
                }
                (flags, ProxyUrl::read(url).ok())
            }
            _ => ("", None),
        };
        Some(match url {
            // Flags that nobody knows yet say nothing.
            Some(url) => self.proxy((priority, Reverse(weight)), flags.contains(['m', 'M']), url),
            None => Err(refused(&target, NO_PROXY)),
        })
    }

    fn proxy(&self, rank: Rank, primary: bool, url: ProxyUrl) -> Result<Candidate, RefusedRecord> {
        match self.refuses(&url) {
            Some(why) => Err(refused(url.as_url().as_str(), &why)),
            None => Ok(Candidate {
                rank,
                primary,
                target: UpstreamTarget::Proxy(url),
            }),
        }
    }

    /// Why this proxy is not asked, if it is not.
    pub fn refuses(&self, proxy: &ProxyUrl) -> Option<String> {
        let url = proxy.as_url();
        let (is_bad_name, kind) = match url.host()? {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                // Whatever a name server says of it (RFC 6761 6.3).
                let is_local = name == "localhost" || name.ends_with(".localhost");
                (!is_host(name), is_local.then_some("loopback"))
            }
            Host::Ipv4(address) => (false, self.permitted().refuses(address.into())),
            Host::Ipv6(address) => (false, self.permitted().refuses(address.into())),
        };
        let why = [
            (proxy.is_plaintext() && !self.plaintext, PLAINTEXT),
            (url.port() == Some(0), NO_PROXY),
            (is_bad_name, BAD_NAME),
        ];
        let why = why.iter().find(|(is_so, _)| *is_so);
        let why = why.map(|(_, why)| (*why).to_owned());
        why.or_else(|| kind.map(|kind| format!("its address is {kind}")))
    }
}

fn refused(name: &str, why: &str) -> RefusedRecord {
    RefusedRecord {
        name: name.chars().take(MAX_TOLD).collect(),
        why: why.to_owned(),
    }
}

/// True if `name` is made of labels that hosts and domains are named with; an underscore is common in domains.
pub(super) fn is_host(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests;

//! Records to the targets that are asked, in their order. Pure: the random numbers are an argument.
//!
//! KDCs are named by SRV records (RFC 2782). KDC proxies are named by URI records (RFC 7553) as MIT krb5 reads them,
//! `krb5srv:FLAGS:kkdcp:URL`, where the flag `m` says that it leads to the KDC that takes writes; and by SRV records of
//! `_kerberos._https` as Kerberos.NET reads them: a host and a port, and the path that [MS-KKDCP] 2.1 gives the service.

use std::cmp::Reverse;

use url::Host;

use super::{DnsTarget, RecordRefusal, RefusedRecord};
use crate::relay::upstream::kdc::{Permitted, Transport};
use crate::relay::upstream::kkdcp::ProxyUrl;

/// As many of one service as are kept: the best by priority, then by weight.
pub(super) const MOST: usize = 16;
/// As many refusals as are worth telling.
pub(super) const MAX_REFUSED: usize = 16;
/// Characters of a record that are worth telling: a host and its port.
const MAX_TOLD: usize = 260;

/// The place among others: by priority, the lowest first, then by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: u16,
    /// The share of the requests among those of the same priority.
    weight: Reverse<u16>,
}

/// What a record names and may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    rank: Rank,
    /// Whether it leads to the KDC that takes writes.
    pub(super) primary: bool,
    pub(super) target: DnsTarget,
}

/// A record, and whether it may be asked.
pub(super) type JudgedRecord = Result<Candidate, RefusedRecord>;

/// Which KDC proxies a zone may lead to. TLS has to vouch for the name of each, unless plain text is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whether `http` will do.
    pub plaintext: bool,
    /// Which addresses.
    pub permitted: Permitted,
}

impl Allowed {
    /// Why this proxy is not asked, if it is not.
    #[must_use]
    pub fn refuses(&self, proxy: &ProxyUrl) -> Option<RecordRefusal> {
        let url = proxy.as_url();
        if proxy.is_plaintext() && !self.plaintext {
            return Some(RecordRefusal::Plaintext);
        }
        if url.port() == Some(0) {
            return Some(RecordRefusal::Port);
        }
        let refuses = |address| self.permitted.refuses(address).map(RecordRefusal::Address);
        match url.host()? {
            Host::Domain(name) => refuses_name(name.trim_end_matches('.')),
            Host::Ipv4(address) => refuses(address.into()),
            Host::Ipv6(address) => refuses(address.into()),
        }
    }
}

fn refuses_name(name: &str) -> Option<RecordRefusal> {
    if !is_host(name) {
        return Some(RecordRefusal::Name);
    }
    // Whatever a name server says of it (RFC 6761 6.3).
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local.then_some(RecordRefusal::Address("loopback"))
}

/// Whether `name` is one of labels that hosts and domains are named with; an underscore is common in domains.
pub(super) fn is_host(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
    name.len() <= 253 && name.split('.').all(is_label)
}

impl Rank {
    pub(super) fn new(priority: u16, weight: u16) -> Self {
        let weight = Reverse(weight);
        Self { priority, weight }
    }
}

impl Candidate {
    /// An SRV record of a KDC or password service. Nothing for the root, which says that there is no such service.
    pub(super) fn kdc(
        rank: Rank,
        host: &str,
        port: u16,
        transport: Transport,
        ports: &[u16],
    ) -> Option<JudgedRecord> {
        let name = format!("{host}:{port}");
        Some(match (is_host(host), ports.contains(&port)) {
            _ if host.is_empty() => return None,
            (false, _) => Err(refused(&name, RecordRefusal::Name)),
            (true, false) => Err(refused(&name, RecordRefusal::Port)),
            (true, true) => Ok(Self {
                rank,
                primary: false,
                target: DnsTarget::Kdc { name, transport },
            }),
        })
    }

    /// The data of a URI record (RFC 7553 4.5). Nothing if it is about a KDC itself, or a way to it that nobody here knows.
    pub(super) fn proxy_by_uri(data: &[u8], allowed: &Allowed) -> Option<JudgedRecord> {
        let (priority, rest) = data.split_first_chunk()?;
        let (weight, target) = rest.split_first_chunk()?;
        let rank = Rank::new(u16::from_be_bytes(*priority), u16::from_be_bytes(*weight));
        let target = String::from_utf8_lossy(target);
        let (primary, url) = match Krb5srv::read(&target) {
            Some(srv) if srv.transport.eq_ignore_ascii_case("kkdcp") => {
                (srv.is_primary(), ProxyUrl::read(srv.residual).ok())
            }
            Some(_) => return None,
            None => (false, None),
        };
        Some(match url {
            Some(url) => Self::proxy(rank, primary, url, allowed),
            None => Err(refused(&target, RecordRefusal::NoProxy)),
        })
    }

    /// An SRV record of KDC proxies. Nothing for the root.
    pub(super) fn proxy_by_srv(
        rank: Rank,
        host: &str,
        port: u16,
        allowed: &Allowed,
    ) -> Option<JudgedRecord> {
        if host.is_empty() {
            return None;
        }
        let url = is_host(host).then(|| ProxyUrl::read(&format!("https://{host}:{port}/")).ok());
        Some(match url.flatten() {
            Some(url) => Self::proxy(rank, false, url, allowed),
            None => Err(refused(&format!("{host}:{port}"), RecordRefusal::Name)),
        })
    }

    fn proxy(rank: Rank, primary: bool, url: ProxyUrl, allowed: &Allowed) -> JudgedRecord {
        match allowed.refuses(&url) {
            Some(why) => Err(refused(url.as_url().as_str(), why)),
            None => Ok(Self {
                rank,
                primary,
                target: DnsTarget::Proxy(url),
            }),
        }
    }
}

fn refused(name: &str, why: RecordRefusal) -> RefusedRecord {
    let name = name.chars().take(MAX_TOLD).collect();
    RefusedRecord { name, why }
}

/// `krb5srv:FLAGS:TRANSPORT:RESIDUAL`, letter case aside.
struct Krb5srv<'a> {
    flags: &'a str,
    transport: &'a str,
    residual: &'a str,
}

impl<'a> Krb5srv<'a> {
    fn read(target: &'a str) -> Option<Self> {
        let mut fields = target.splitn(4, ':');
        let mut next = || fields.next();
        let (scheme, flags, transport, residual) = (next()?, next()?, next()?, next()?);
        scheme.eq_ignore_ascii_case("krb5srv").then_some(Self {
            flags,
            transport,
            residual,
        })
    }

    /// Flags that nobody knows yet say nothing.
    fn is_primary(&self) -> bool {
        self.flags.contains(['m', 'M'])
    }
}

/// The best [`MOST`] of one service in the order to ask them, and what was refused.
pub(super) fn choose(
    records: impl IntoIterator<Item = JudgedRecord>,
    random: &mut impl FnMut(u32) -> u32,
) -> (Vec<Candidate>, Vec<RefusedRecord>) {
    let (mut good, mut no) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Ok(candidate) => good.push(candidate),
            Err(refused) => no.push(refused),
        }
    }
    let mut best = best_first(good);
    let surplus = best.split_off(best.len().min(MOST));
    let too_many = |one: &Candidate| refused(one.target.name(), RecordRefusal::TooMany);
    no.extend(surplus.iter().map(too_many));
    no.truncate(MAX_REFUSED);
    (in_order(best, random), no)
}

/// By priority, then by weight, then by name, so that the same records always leave the same ones. Each is named once, at its
/// best place, and what is offered over both transports is asked over TCP.
fn best_first(mut records: Vec<Candidate>) -> Vec<Candidate> {
    records.sort_by(|a, b| (&a.target, a.rank).cmp(&(&b.target, b.rank)));
    records.dedup_by(|one, before| one.target.name() == before.target.name());
    records.sort_by_key(|record| record.rank);
    records
}

/// By priority, and within one by chance in proportion to the weights, as RFC 2782 has it for SRV and RFC 7553 5.3 for URI
/// records. `random(n)` is one of the numbers from 0 to n.
fn in_order(mut records: Vec<Candidate>, random: &mut impl FnMut(u32) -> u32) -> Vec<Candidate> {
    // Those without weight stand first, so that they have a very small chance and not none.
    records.sort_by_key(|record| (record.rank.priority, record.rank.weight.0 != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.rank.priority) {
        let same = records
            .iter()
            .filter(|record| record.rank.priority == priority);
        let mut sum = 0;
        let sums = same.map(|record| {
            sum += u32::from(record.rank.weight.0);
            sum
        });
        let sums: Vec<_> = sums.collect();
        let drawn = random(sum);
        let next = sums.iter().position(|sum| *sum >= drawn).unwrap_or(0);
        ordered.push(records.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests;

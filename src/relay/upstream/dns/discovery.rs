//! The KDCs and the KDC proxies of a realm: which records are asked for, and what is made of the answers.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use super::query::{QueryAnswer, Zone};
use super::records::{Allowed, Candidate, JudgedRecord, Rank, choose};
use super::{DnsResults, DnsTarget, LookUpError, RETRY, RefusedRecord};
use crate::relay::upstream::kdc::Transport::{self, TcpFirst, UdpFirst};
use crate::wire::Realm;

/// The ports of Kerberos and of its password service.
pub const PORTS: [u16; 2] = [88, 464];
/// All queries about KDCs together.
const KDCS_TIME: Duration = Duration::from_secs(5);
/// One query about proxies: a request waits for the look-up, and there are forwarders that never answer about types that they
/// don't know.
const PROXIES_TIME: Duration = Duration::from_millis(2500);
/// RFC 7553 4.1.
const URI: RecordType = RecordType::Unknown(256);
/// No answer is trusted for longer, whatever its TTL is.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// KDCs that are asked themselves.
    Kdcs(KdcDiscovery),
    /// KDC proxies.
    Proxies(Arc<ProxyDiscovery>),
}

impl Discovery {
    /// Asks the name servers.
    ///
    /// # Errors
    /// Those of [`KdcDiscovery::look_up`] and [`ProxyDiscovery::look_up`].
    pub async fn look_up(&self) -> Result<DnsResults, LookUpError> {
        match self {
            Self::Kdcs(discovery) => discovery.look_up().await,
            Self::Proxies(discovery) => discovery.look_up().await,
        }
    }
}

/// A realm whose KDCs are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KdcDiscovery {
    zone: Zone,
    ports: Vec<u16>,
}

impl KdcDiscovery {
    /// The look-up of `realm`'s services, of which only those on one of `ports` are taken.
    ///
    /// # Errors
    /// The realm is no domain.
    pub fn new(realm: &Realm, ports: &[u16]) -> Result<Self, LookUpError> {
        Ok(Self {
            zone: Zone::new(realm)?,
            ports: ports.to_vec(),
        })
    }

    /// Asks this name server, instead of those that the system is set up with.
    #[must_use]
    pub fn at(mut self, name_server: SocketAddr) -> Self {
        self.zone.name_server = Some(name_server);
        self
    }

    /// Asks the name servers, at most 5 s long.
    ///
    /// # Errors
    /// One of the queries failed: the whole list is better old than in part.
    pub async fn look_up(&self) -> Result<DnsResults, LookUpError> {
        let resolver = self.zone.resolver()?;
        let ask = |labels, transport| {
            let read = move |data: &RData| self.record(data, transport);
            self.zone.ask(&resolver, labels, RecordType::SRV, read)
        };
        let all = async {
            tokio::try_join!(
                ask("_kerberos._tcp", TcpFirst),
                ask("_kerberos._udp", UdpFirst),
                ask("_kpasswd._tcp", TcpFirst),
                ask("_kpasswd._udp", UdpFirst),
            )
        };
        let answers = timeout(KDCS_TIME, all).await;
        let (kdc_tcp, kdc_udp, kpasswd_tcp, kpasswd_udp) =
            answers.unwrap_or(Err(LookUpError::TimedOut))?;
        let mut choice = Choice::default();
        let kdc = choice.of([kdc_tcp, kdc_udp]);
        let kpasswd = choice.of([kpasswd_tcp, kpasswd_udp]);
        Ok(choice.results(kdc, kpasswd))
    }

    fn record(&self, data: &RData, transport: Transport) -> Option<JudgedRecord> {
        let (rank, host, port) = service(data)?;
        Candidate::kdc(rank, &host, port, transport, &self.ports)
    }
}

/// A realm whose KDC proxies are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyDiscovery {
    zone: Zone,
    allowed: Allowed,
}

impl ProxyDiscovery {
    /// The look-up of `realm`'s proxies, of which only those that are `allowed` are taken.
    ///
    /// # Errors
    /// The realm is no domain.
    pub fn new(realm: &Realm, allowed: Allowed) -> Result<Self, LookUpError> {
        let zone = Zone::new(realm)?;
        Ok(Self { zone, allowed })
    }

    /// Asks this name server, instead of those that the system is set up with.
    #[must_use]
    pub fn at(mut self, name_server: SocketAddr) -> Self {
        self.zone.name_server = Some(name_server);
        self
    }

    /// What is taken of what DNS says.
    #[must_use]
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Asks the name servers, at most 2.5 s long.
    ///
    /// # Errors
    /// No query brought a proxy, and one failed; or the one about passwords failed where those about logins are answered.
    pub async fn look_up(&self) -> Result<DnsResults, LookUpError> {
        let resolver = self.zone.resolver()?;
        let ask = async |labels, kind| {
            let read = |data: &RData| self.record(data);
            let asked = self.zone.ask(&resolver, labels, kind, read);
            let answer = timeout(PROXIES_TIME, asked).await;
            answer.unwrap_or(Err(LookUpError::TimedOut))
        };
        let (kdc, kpasswd, srv) = tokio::join!(
            ask("_kerberos", URI),
            ask("_kpasswd", URI),
            ask("_kerberos._https", RecordType::SRV),
        );
        results(kdc, kpasswd, srv)
    }

    fn record(&self, data: &RData) -> Option<JudgedRecord> {
        match data {
            RData::Unknown { code, rdata } if *code == URI => {
                Candidate::proxy_by_uri(&rdata.anything, &self.allowed)
            }
            _ => {
                let (rank, host, port) = service(data)?;
                Candidate::proxy_by_srv(rank, &host, port, &self.allowed)
            }
        }
    }
}

/// URI records say more than SRV records, which are for where there are none. Who can't be asked for the ones is asked for the
/// others.
fn results(
    kdc: Result<QueryAnswer, LookUpError>,
    kpasswd: Result<QueryAnswer, LookUpError>,
    srv: Result<QueryAnswer, LookUpError>,
) -> Result<DnsResults, LookUpError> {
    let mut choice = Choice::default();
    let (kdc, is_by_uri) = match choice.of_result(kdc) {
        Ok(by_uri) if !by_uri.is_empty() => (by_uri, true),
        no_uri => {
            let by_srv = choice.of([srv?]);
            if by_srv.is_empty() {
                no_uri?;
            }
            (by_srv, false)
        }
    };
    let kpasswd = match choice.of_result(kpasswd) {
        Ok(kpasswd) => kpasswd,
        // The whole list is better old than in part.
        Err(error) if is_by_uri || kdc.is_empty() => return Err(error),
        Err(_) => Vec::new(),
    };
    let kpasswd = if kpasswd.is_empty() {
        primary_first(kdc.clone())
    } else {
        kpasswd
    };
    Ok(choice.results(kdc, kpasswd))
}

/// Where passwords are changed if nothing is said: where logins go, and first of all where writes are taken.
fn primary_first(mut kdc: Vec<Candidate>) -> Vec<Candidate> {
    kdc.sort_by_key(|candidate| !candidate.primary);
    kdc
}

/// What an SRV record says: its rank, the host in lower case and without the last dot, and the port.
fn service(data: &RData) -> Option<(Rank, String, u16)> {
    let RData::SRV(SRV {
        priority,
        weight,
        port,
        target,
        ..
    }) = data
    else {
        return None;
    };
    let host = target.to_lowercase().to_ascii();
    let host = host.trim_end_matches('.').to_owned();
    Some((Rank::new(*priority, *weight), host, *port))
}

/// What was chosen from so far.
#[derive(Default)]
struct Choice {
    refused: Vec<RefusedRecord>,
    ttl: Option<u32>,
}

impl Choice {
    /// Those of the records of one service that are asked, in their order.
    fn of<const N: usize>(&mut self, answers: [QueryAnswer; N]) -> Vec<Candidate> {
        let ttls = answers.iter().map(|answer| answer.ttl);
        self.ttl = ttls.chain(self.ttl).min();
        let records = answers.into_iter().flat_map(|answer| answer.records);
        let (chosen, refused) = choose(records, &mut random);
        self.refused.extend(refused);
        chosen
    }

    /// What could not be asked is asked again soon.
    fn of_result(
        &mut self,
        answer: Result<QueryAnswer, LookUpError>,
    ) -> Result<Vec<Candidate>, LookUpError> {
        if answer.is_err() {
            self.ttl = Some(0);
        }
        answer.map(|answer| self.of([answer]))
    }

    fn results(self, kdc: Vec<Candidate>, kpasswd: Vec<Candidate>) -> DnsResults {
        let good_for = Duration::from_secs(self.ttl.unwrap_or(0).into());
        DnsResults {
            kdc: targets(kdc),
            kpasswd: targets(kpasswd),
            refused: self.refused,
            good_for: good_for.clamp(RETRY, LONGEST),
        }
    }
}

fn targets(chosen: Vec<Candidate>) -> Vec<DnsTarget> {
    let targets = chosen.into_iter().map(|candidate| candidate.target);
    targets.collect()
}

/// One of the numbers from 0 to `most`. The standard library's hasher is seeded by the system; more is not asked of a
/// number that spreads load.
fn random(most: u32) -> u32 {
    let drawn = RandomState::new().hash_one(0) % (u64::from(most) + 1);
    u32::try_from(drawn).unwrap_or(0)
}

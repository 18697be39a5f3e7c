//! The KDCs of a realm as DNS knows them (RFC 4120 7.2.3.2).

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use super::query::{Answer, Query, resolver};
use super::targets::{Record, choose, is_host};
use super::{Found, LookUpError, good_for, random};
use crate::relay::upstream::kdc::Transport;
use crate::wire::{Realm, Service};

/// All queries of one look-up together.
const TIME: Duration = Duration::from_secs(5);
/// The ports of Kerberos and of its password service.
pub const PORTS: [u16; 2] = [88, 464];

/// What is asked for: the service, the first labels of the name, and how a target that is found so is asked.
const QUERIES: [(Service, &str, Transport); 4] = [
    (Service::Kdc, "_kerberos._tcp", Transport::TcpFirst),
    (Service::Kdc, "_kerberos._udp", Transport::UdpFirst),
    (Service::Kpasswd, "_kpasswd._tcp", Transport::TcpFirst),
    (Service::Kpasswd, "_kpasswd._udp", Transport::UdpFirst),
];

/// A realm whose KDCs are looked up.
#[derive(Clone, Debug)]
pub struct Discovery {
    queries: Vec<Asked>,
    ports: Vec<u16>,
    /// Instead of those that the system is set up with.
    name_server: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Asked {
    service: Service,
    transport: Transport,
    query: Query,
}

impl Discovery {
    /// The look-up of `realm`'s services, of which only those on one of `ports` are taken.
    ///
    /// # Errors
    /// The realm is no domain.
    pub fn new(realm: &Realm, ports: &[u16]) -> Result<Self, LookUpError> {
        let domain = realm.as_str();
        let asked = |(service, labels, transport)| {
            let query = Query::new(labels, domain, RecordType::SRV)?;
            Some(Asked {
                service,
                transport,
                query,
            })
        };
        let queries: Option<_> = QUERIES.into_iter().map(asked).collect();
        let queries = queries.filter(|_| is_host(domain));
        Ok(Self {
            queries: queries.ok_or_else(|| LookUpError::NotADomain(domain.to_owned()))?,
            ports: ports.to_vec(),
            name_server: None,
        })
    }

    /// Asks this name server, instead of those that the system is set up with.
    #[must_use]
    pub fn at(self, name_server: SocketAddr) -> Self {
        Self {
            name_server: Some(name_server),
            ..self
        }
    }

    /// Asks the name servers, at most 5 s long.
    ///
    /// # Errors
    /// One of the queries failed: the whole list is better old than in part.
    pub async fn look_up(&self) -> Result<Found, LookUpError> {
        let resolver = resolver(self.name_server)?;
        let asked = self.queries.iter().map(|asked| {
            let record = |data: &RData| asked.record(data);
            asked.query.ask(&resolver, record)
        });
        let answers = timeout(TIME, try_join_all(asked)).await;
        let answers = answers.unwrap_or(Err(LookUpError::TimedOut))?;
        Ok(self.found(&answers))
    }

    fn found(&self, answers: &[Answer<Record>]) -> Found {
        let records = |service| {
            let asked = self.queries.iter().zip(answers);
            let same = asked.filter(|(asked, _)| asked.service == service);
            same.flat_map(|(_, answer)| answer.records.clone())
                .collect()
        };
        let (kdc, mut refused) = choose(records(Service::Kdc), &self.ports, &mut random);
        let (kpasswd, also_refused) = choose(records(Service::Kpasswd), &self.ports, &mut random);
        refused.extend(also_refused);
        Found {
            kdc,
            kpasswd,
            refused,
            good_for: good_for(answers.iter().map(|answer| answer.ttl)),
        }
    }
}

impl Asked {
    fn record(&self, data: &RData) -> Option<Record> {
        let RData::SRV(srv) = data else {
            return None;
        };
        Some(Record {
            transport: self.transport,
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: host(srv),
        })
    }
}

/// In lower case and without the last dot.
pub(super) fn host(srv: &SRV) -> String {
    let host = srv.target.to_lowercase().to_ascii();
    host.trim_end_matches('.').to_owned()
}

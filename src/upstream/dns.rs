//! The KDCs of a realm as DNS knows them (RFC 4120 7.2.3.2), for realms that the configuration declares and says to look
//! up. A realm that only a client names is never looked up.

mod targets;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use tokio::time::timeout;

use super::kdc::Transport;
use crate::wire::{Realm, Service};
use targets::{Record, choose, is_host};

pub use targets::{Refusal, Refused, Target};

/// All queries of one look-up together.
const TIME: Duration = Duration::from_secs(5);
/// A name server that has not answered by then is asked again, or another one.
const NAME_SERVER_TIME: Duration = Duration::from_millis(1500);
/// No answer is trusted for longer, or asked for again sooner, whatever its TTL is.
const GOOD_FOR: (Duration, Duration) = (RETRY, Duration::from_secs(3600));
/// How long after a failed look-up the next one is due; until then, what was found before is the best that is known.
pub const RETRY: Duration = Duration::from_secs(30);
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
    queries: Vec<Query>,
    ports: Vec<u16>,
    /// Instead of those that the system is set up with.
    name_server: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
struct Query {
    service: Service,
    transport: Transport,
    /// Fully qualified: no search list has a say in it.
    name: Name,
}

/// What a look-up found. A list is empty if DNS says that there is nothing, which is no failure.
#[derive(Clone, Debug)]
pub struct Found {
    /// The realm's KDCs in the order to ask them, at most 16.
    pub kdc: Vec<Target>,
    /// Its password services, likewise.
    pub kpasswd: Vec<Target>,
    /// What else is named and won't be asked; worth a line in the log.
    pub refused: Vec<Refused>,
    /// When it is time for the next look-up: 30 s to an hour.
    pub good_for: Duration,
}

impl Found {
    /// Whether both lead to the same places; the order, which chance decides within a priority, doesn't matter.
    #[must_use]
    pub fn has_same_targets(&self, other: &Self) -> bool {
        let sorted = |targets: &[Target]| {
            let mut targets = targets.to_vec();
            targets.sort();
            targets
        };
        sorted(&self.kdc) == sorted(&other.kdc) && sorted(&self.kpasswd) == sorted(&other.kpasswd)
    }
}

/// Why nothing is known about a realm's KDCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpError {
    /// The realm is no domain of DNS (RFC 4120 6.1 has other styles as well).
    NotADomain(String),
    /// The system's resolver configuration cannot be used.
    Resolver(String),
    /// This name brought no answer, and why.
    NoAnswer(String, String),
    /// The queries took too long together.
    TimedOut,
}

impl fmt::Display for LookUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADomain(realm) => write!(f, "realm {realm} is no DNS domain"),
            Self::Resolver(why) => write!(f, "cannot set up a resolver: {why}"),
            Self::NoAnswer(name, why) => write!(f, "cannot look up {name}: {why}"),
            Self::TimedOut => f.write_str("the name servers did not answer in time"),
        }
    }
}

impl std::error::Error for LookUpError {}

impl Discovery {
    /// The look-up of `realm`'s services, of which only those on one of `ports` are taken.
    ///
    /// # Errors
    /// The realm is no domain.
    pub fn new(realm: &Realm, ports: &[u16]) -> Result<Self, LookUpError> {
        let domain = realm.as_str();
        let not_a_domain = || LookUpError::NotADomain(domain.to_owned());
        if !is_host(domain) {
            return Err(not_a_domain());
        }
        let queries = QUERIES.map(|(service, labels, transport)| {
            let name = Name::from_ascii(format!("{labels}.{domain}."));
            name.map(|name| Query {
                service,
                transport,
                name,
            })
        });
        let queries: Result<_, _> = queries.into_iter().collect();
        Ok(Self {
            queries: queries.map_err(|_| not_a_domain())?,
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
        let resolver = self
            .resolver()
            .map_err(|error| LookUpError::Resolver(error.to_string()))?;
        let asked = self.queries.iter().map(|query| query.ask(&resolver));
        let answers = timeout(TIME, try_join_all(asked)).await;
        let answers = answers.unwrap_or(Err(LookUpError::TimedOut))?;
        Ok(self.found(&answers))
    }

    /// Set up anew each time, so that a change of the system's name servers is followed.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.name_server {
            None => Resolver::builder_tokio()?,
            Some(address) => {
                Resolver::builder_with_config(only(address), TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = options.timeout.min(NAME_SERVER_TIME);
        // What is good for how long is told to the caller, who asks again when it is not.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build()
    }

    fn found(&self, answers: &[Answer]) -> Found {
        let ttl = answers.iter().map(|answer| answer.ttl).min().unwrap_or(0);
        let (shortest, longest) = GOOD_FOR;
        let records = |service| {
            let asked = self.queries.iter().zip(answers);
            let same = asked.filter(|(query, _)| query.service == service);
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
            good_for: Duration::from_secs(ttl.into()).clamp(shortest, longest),
        }
    }
}

/// What DNS says to one query.
struct Answer {
    records: Vec<Record>,
    /// How long it holds, in seconds: as long as the least of it.
    ttl: u32,
}

impl Query {
    async fn ask(&self, resolver: &TokioResolver) -> Result<Answer, LookUpError> {
        let answer = resolver.lookup(self.name.clone(), RecordType::SRV).await;
        match answer {
            Ok(answer) => Ok(self.answer(answer.answers())),
            Err(error) => self.none(error),
        }
    }

    fn answer(&self, answers: &[hickory_resolver::proto::rr::Record]) -> Answer {
        let records = answers.iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(self.record(srv)),
            _ => None,
        });
        Answer {
            records: records.collect(),
            ttl: answers.iter().map(|record| record.ttl).min().unwrap_or(0),
        }
    }

    fn record(&self, srv: &SRV) -> Record {
        let host = srv.target.to_lowercase().to_ascii();
        Record {
            transport: self.transport,
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: host.trim_end_matches('.').to_owned(),
        }
    }

    /// That there is no such name, or nothing of that type, is an answer, good for as long as the zone says (RFC 2308 5).
    fn none(&self, error: NetError) -> Result<Answer, LookUpError> {
        use ResponseCode::{NXDomain, NoError};
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none))
                if matches!(none.response_code, NoError | NXDomain) =>
            {
                Ok(Answer {
                    records: Vec::new(),
                    ttl: none.negative_ttl.unwrap_or(0),
                })
            }
            error => Err(LookUpError::NoAnswer(
                self.name.to_ascii(),
                error.to_string(),
            )),
        }
    }
}

/// One of the numbers from 0 to `most`. The standard library's hasher is seeded by the system; more is not asked of a
/// number that spreads load.
fn random(most: u32) -> u32 {
    let drawn = RandomState::new().hash_one(0) % (u64::from(most) + 1);
    u32::try_from(drawn).unwrap_or(0)
}

fn only(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
    ResolverConfig::from_name_servers(vec![server])
}

//! The questions to the name servers.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::LookUpError;
use super::records::{JudgedRecord, is_host};
use crate::wire::Realm;

/// A name server that has not answered by then is asked again, or another one.
const NAME_SERVER_TIME: Duration = Duration::from_millis(1500);

/// The domain of a realm, and who is asked about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    domain: String,
    /// Instead of those that the system is set up with.
    pub(super) name_server: Option<SocketAddr>,
}

/// What DNS says to one query.
#[derive(Debug)]
pub(super) struct QueryAnswer {
    pub(super) records: Vec<JudgedRecord>,
    /// How long it holds, in seconds: as long as the least of it.
    pub(super) ttl: u32,
}

impl Zone {
    /// # Errors
    /// The realm is no domain, or one too long for the names that are asked for.
    pub(super) fn new(realm: &Realm) -> Result<Self, LookUpError> {
        let zone = Self {
            domain: realm.as_str().to_owned(),
            name_server: None,
        };
        zone.name("_kerberos._https")?;
        Ok(zone)
    }

    /// Fully qualified: no search list has a say in it.
    fn name(&self, labels: &str) -> Result<Name, LookUpError> {
        let domain = &self.domain;
        let name = Name::from_ascii(format!("{labels}.{domain}."));
        let name = name.ok().filter(|_| is_host(domain));
        name.ok_or_else(|| LookUpError::NotADomain(domain.clone()))
    }

    /// Set up anew for each look-up, so that a change of the system's name servers is followed.
    pub(super) fn resolver(&self) -> Result<TokioResolver, LookUpError> {
        build(self.name_server).map_err(|error| LookUpError::Resolver(error.to_string()))
    }

    /// Asks for the records of this `kind` at `labels` below the domain, and has `read` judge them; those that say nothing to
    /// it are left out.
    pub(super) async fn ask(
        &self,
        resolver: &TokioResolver,
        labels: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<JudgedRecord>,
    ) -> Result<QueryAnswer, LookUpError> {
        let name = self.name(labels)?;
        match resolver.lookup(name.clone(), kind).await {
            Ok(answer) => {
                let answers = answer.answers();
                let records = answers.iter().filter_map(|record| read(&record.data));
                Ok(QueryAnswer {
                    records: records.collect(),
                    ttl: answers.iter().map(|record| record.ttl).min().unwrap_or(0),
                })
            }
            Err(error) => no_records(&name, error),
        }
    }
}

/// That there is no such name, or nothing of that type, is an answer, good for as long as the zone says (RFC 2308 5).
fn no_records(name: &Name, error: NetError) -> Result<QueryAnswer, LookUpError> {
    use ResponseCode::{NXDomain, NoError};
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none))
            if matches!(none.response_code, NoError | NXDomain) =>
        {
            Ok(QueryAnswer {
                records: Vec::new(),
                ttl: none.negative_ttl.unwrap_or(0),
            })
        }
        error => Err(LookUpError::NoAnswer(name.to_ascii(), error.to_string())),
    }
}

fn build(name_server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match name_server {
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

fn only(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
    ResolverConfig::from_name_servers(vec![server])
}

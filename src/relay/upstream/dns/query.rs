//! One question to the name servers.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use super::LookUpError;

/// A name server that has not answered by then is asked again, or another one.
const NAME_SERVER_TIME: Duration = Duration::from_millis(1500);

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Fully qualified: no search list has a say in it.
    name: Name,
    kind: RecordType,
}

/// What DNS says to one query.
#[derive(Debug)]
pub(super) struct Answer<R> {
    pub(super) records: Vec<R>,
    /// How long it holds, in seconds: as long as the least of it.
    pub(super) ttl: u32,
}

/// Set up anew for each look-up, so that a change of the system's name servers is followed. `name_server` is asked instead of
/// them.
pub(super) fn resolver(name_server: Option<SocketAddr>) -> Result<TokioResolver, LookUpError> {
    build(name_server).map_err(|error| LookUpError::Resolver(error.to_string()))
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

impl Query {
    /// For records of this kind at `labels` below `domain`. `None`: that is no name.
    pub(super) fn new(labels: &str, domain: &str, kind: RecordType) -> Option<Self> {
        let name = Name::from_ascii(format!("{labels}.{domain}.")).ok()?;
        Some(Self { name, kind })
    }

    /// What the records say that `read` can read.
    pub(super) async fn ask<R>(
        &self,
        resolver: &TokioResolver,
        read: impl Fn(&RData) -> Option<R>,
    ) -> Result<Answer<R>, LookUpError> {
        match resolver.lookup(self.name.clone(), self.kind).await {
            Ok(answer) => {
                let answers = answer.answers();
                let records = answers.iter().filter_map(|record| read(&record.data));
                Ok(Answer {
                    records: records.collect(),
                    ttl: answers.iter().map(|record| record.ttl).min().unwrap_or(0),
                })
            }
            Err(error) => self.none(error),
        }
    }

    /// That there is no such name, or nothing of that type, is an answer, good for as long as the zone says (RFC 2308 5).
    fn none<R>(&self, error: NetError) -> Result<Answer<R>, LookUpError> {
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

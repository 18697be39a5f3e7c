//! The KDC proxies of a realm as DNS knows them.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use super::kdcs::host;
use super::query::{Answer, Query, resolver};
use super::targets::is_host;
use super::uri::{Allowed, Chosen, Named, choose};
use super::{Found, LookUpError, Refused, good_for, random};
use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::wire::{ByService, Realm};

/// RFC 7553 4.1.
const URI: RecordType = RecordType::Unknown(256);
/// One query: a request waits for the look-up, and there are forwarders that never answer about types that they don't know.
const TIME: Duration = Duration::from_millis(2500);

/// A realm whose KDC proxies are looked up.
#[derive(Clone, Debug)]
pub struct ProxyDiscovery {
    uri: ByService<Query>,
    srv: Query,
    allowed: Allowed,
    /// Instead of those that the system is set up with.
    name_server: Option<SocketAddr>,
}

/// What DNS said to each query.
struct Answers {
    uri: ByService<Result<Answer<Named>, LookUpError>>,
    srv: Result<Answer<Named>, LookUpError>,
}

impl ProxyDiscovery {
    /// The look-up of `realm`'s proxies, of which only those that are `allowed` are taken.
    ///
    /// # Errors
    /// The realm is no domain.
    pub fn new(realm: &Realm, allowed: Allowed) -> Result<Self, LookUpError> {
        let domain = realm.as_str();
        let query = |labels, kind| {
            let query = Query::new(labels, domain, kind).filter(|_| is_host(domain));
            query.ok_or_else(|| LookUpError::NotADomain(domain.to_owned()))
        };
        Ok(Self {
            uri: ByService {
                kdc: query("_kerberos", URI)?,
                kpasswd: query("_kpasswd", URI)?,
            },
            srv: query("_kerberos._https", RecordType::SRV)?,
            allowed,
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

    /// What is taken of what DNS says.
    #[must_use]
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Asks the name servers, at most 2.5 s long.
    ///
    /// # Errors
    /// No query brought a proxy, and one failed; or the one about passwords failed where those about logins are answered.
    pub async fn look_up(&self) -> Result<Found<ProxyUrl>, LookUpError> {
        let resolver = resolver(self.name_server)?;
        let (kdc, kpasswd, srv) = tokio::join!(
            within(self.uri.kdc.ask(&resolver, of_uri)),
            within(self.uri.kpasswd.ask(&resolver, of_uri)),
            within(self.srv.ask(&resolver, of_srv)),
        );
        let uri = ByService { kdc, kpasswd };
        Answers { uri, srv }.found(&self.allowed)
    }
}

async fn within<T>(asked: impl Future<Output = Result<T, LookUpError>>) -> Result<T, LookUpError> {
    timeout(TIME, asked)
        .await
        .unwrap_or(Err(LookUpError::TimedOut))
}

fn of_uri(data: &RData) -> Option<Named> {
    match data {
        RData::Unknown { code, rdata } if *code == URI => Named::of_uri(&rdata.anything),
        _ => None,
    }
}

fn of_srv(data: &RData) -> Option<Named> {
    match data {
        RData::SRV(srv) => Named::of_srv(srv.priority, srv.weight, &host(srv), srv.port),
        _ => None,
    }
}

/// What is made of the answers so far.
struct Choice<'a> {
    allowed: &'a Allowed,
    refused: Vec<Refused>,
    ttls: Vec<u32>,
}

impl Choice<'_> {
    fn of(&mut self, answer: Answer<Named>) -> Vec<Chosen> {
        self.ttls.push(answer.ttl);
        let (chosen, refused) = choose(answer.records, self.allowed, &mut random);
        self.refused.extend(refused);
        chosen
    }
}

impl Answers {
    /// URI records say more than SRV records, which are for where there are none. Who can't be asked for the ones is asked
    /// for the others.
    fn found(self, allowed: &Allowed) -> Result<Found<ProxyUrl>, LookUpError> {
        let Self { uri, srv } = self;
        let mut choice = Choice {
            allowed,
            refused: Vec::new(),
            ttls: Vec::new(),
        };
        let mut failed = None;
        let mut kdc = choice.unless_failed(uri.kdc, &mut failed);
        let by_srv = kdc.is_empty();
        if by_srv {
            kdc = choice.of(srv?);
        }
        if let (true, Some(error)) = (kdc.is_empty(), failed.take()) {
            return Err(error);
        }
        let kpasswd = choice.unless_failed(uri.kpasswd, &mut failed);
        // The whole list is better old than in part.
        if let (false, Some(error)) = (by_srv && !kdc.is_empty(), failed) {
            return Err(error);
        }
        Ok(Found {
            kpasswd: urls(match kpasswd.is_empty() {
                true => primary_first(kdc.clone()),
                false => kpasswd,
            }),
            kdc: urls(kdc),
            refused: choice.refused,
            good_for: good_for(choice.ttls.into_iter()),
        })
    }
}

impl Choice<'_> {
    /// Nothing if the query failed, which is asked again soon.
    fn unless_failed(
        &mut self,
        answer: Result<Answer<Named>, LookUpError>,
        failed: &mut Option<LookUpError>,
    ) -> Vec<Chosen> {
        match answer {
            Ok(answer) => self.of(answer),
            Err(error) => {
                self.ttls.push(0);
                *failed = Some(error);
                Vec::new()
            }
        }
    }
}

/// Where passwords are changed if nothing is said: where logins go, and first of all where writes are taken.
fn primary_first(mut kdc: Vec<Chosen>) -> Vec<Chosen> {
    kdc.sort_by_key(|(_, primary)| !primary);
    kdc
}

fn urls(chosen: Vec<Chosen>) -> Vec<ProxyUrl> {
    chosen.into_iter().map(|(url, _)| url).collect()
}

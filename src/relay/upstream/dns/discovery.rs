//! The KDCs or the KDC proxies of a realm: which records are asked for, and what is made of the answers.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode::{NXDomain, NoError};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use ipnet::IpNet;
use tokio::time::timeout;

use super::records::{Records, URI, is_host};
use super::{DnsResults, LookUpError, RETRY};
use crate::relay::explain::UpstreamKind;
use crate::relay::upstream::kdc::{Permitted, Transport};
use crate::wire::Realm;

/// One query about KDCs.
const KDCS_TIME: Duration = Duration::from_secs(5);
/// One query about proxies: a request waits for the look-up, and there are forwarders that never answer about types that they
/// don't know.
const PROXIES_TIME: Duration = Duration::from_millis(2500);
/// One query about primary KDCs, which others can do without: there are name servers that never answer about what they don't have.
const PRIMARY_TIME: Duration = Duration::from_millis(2500);
/// A name server that has not answered by then is asked again, or another one.
const NAME_SERVER_TIME: Duration = Duration::from_millis(1500);
/// No answer is trusted for longer, whatever its TTL is.
const LONGEST: Duration = Duration::from_secs(3600);

/// The look-up of a realm's upstreams of one kind, and what is taken of what DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The realm, whose name is the domain.
    pub realm: String,
    /// What is looked up.
    pub kind: UpstreamKind,
    /// The ports that KDCs may have. A KDC proxy may have any, as it must prove its name by TLS.
    pub ports: Vec<u16>,
    /// `http` will do for a KDC proxy.
    pub plaintext: bool,
    /// Addresses that are allowed though they are loopback, link-local or of cloud metadata.
    pub networks: Vec<IpNet>,
    /// The name server to ask in place of the system's.
    name_server: Option<SocketAddr>,
}

impl Discovery {
    /// The look-up of `realm`'s upstreams of this kind. KDCs may have the usual ports, and KDC proxies no plain text.
    ///
    /// # Errors
    /// The realm is no domain.
    pub fn new(
        realm: &Realm,
        kind: UpstreamKind,
        networks: Vec<IpNet>,
    ) -> Result<Self, LookUpError> {
        let discovery = Self {
            realm: realm.as_str().to_owned(),
            kind,
            ports: vec![88, 464],
            plaintext: false,
            networks,
            name_server: None,
        };
        // Nor may it be too long for the names that are asked for.
        discovery.name("_kerberos._https")?;
        Ok(discovery)
    }

    /// The same, asked of this name server in place of the system's.
    #[must_use]
    pub fn at(mut self, name_server: SocketAddr) -> Self {
        self.name_server = Some(name_server);
        self
    }

    /// Which addresses the names that are found may lead to.
    pub fn permitted(&self) -> Permitted {
        Permitted::OtherHosts(self.networks.clone())
    }

    /// Asks the name servers, at most 5 s long.
    ///
    /// # Errors
    /// Of KDCs, one of the queries failed but those about primary ones: the whole list is better old than in part. Of proxies, no query brought one, and one
    /// failed; or the one about passwords failed where those about logins are answered.
    pub async fn look_up(&self) -> Result<DnsResults, LookUpError> {
        let resolver = &self
            .resolver()
            .map_err(|error| LookUpError::NoAnswer(self.realm.clone(), error.to_string()))?;
        let [kdc, kpasswd] = match self.kind {
            UpstreamKind::Kdc => self.look_up_kdcs(resolver).await?,
            UpstreamKind::Proxy => self.look_up_proxies(resolver).await?,
        };
        let good_for = Duration::from_secs(kdc.ttl.min(kpasswd.ttl).into());
        Ok(DnsResults {
            kdc: kdc.targets(),
            kpasswd: kpasswd.targets(),
            primary: kdc.primary(),
            refused: [kdc.refused, kpasswd.refused].concat(),
            good_for: good_for.clamp(RETRY, LONGEST),
        })
    }

    /// The records of both services, and those of primary KDCs as MIT krb5 reads them.
    async fn look_up_kdcs(&self, resolver: &TokioResolver) -> Result<[Records; 2], LookUpError> {
        let ask = |labels, limit| self.ask(resolver, labels, RecordType::SRV, limit);
        let ask_for_primary = |labels| ask(labels, PRIMARY_TIME).map(Ok);
        let (kdc, kdc_udp, kpasswd, kpasswd_udp, primary, primary_udp) = tokio::try_join!(
            ask("_kerberos._tcp", KDCS_TIME),
            ask("_kerberos._udp", KDCS_TIME),
            ask("_kpasswd._tcp", KDCS_TIME),
            ask("_kpasswd._udp", KDCS_TIME),
            ask_for_primary("_kerberos-master._tcp"),
            ask_for_primary("_kerberos-master._udp"),
        )?;
        let mut kdc = kdc.and(kdc_udp);
        for primary in [primary, primary_udp] {
            kdc = match primary {
                // Most zones have none, which is no reason to look everything up sooner.
                Ok(none) if none.is_empty() => kdc,
                // What could not be asked is asked again soon: the TTL of no records is 0.
                primary => kdc.and(primary.unwrap_or_default().of_primary()),
            };
        }
        Ok([kdc.best(), kpasswd.and(kpasswd_udp).best()])
    }

    /// By URI records, which say more; by SRV records where there are none, or where a name server does not answer about them.
    async fn look_up_proxies(&self, resolver: &TokioResolver) -> Result<[Records; 2], LookUpError> {
        let ask = |labels, kind| self.ask(resolver, labels, kind, PROXIES_TIME);
        let (kdc, kpasswd, by_srv) = tokio::join!(
            ask("_kerberos", URI),
            ask("_kpasswd", URI),
            ask("_kerberos._https", RecordType::SRV),
        );
        let is_by_uri = matches!(&kdc, Ok(kdc) if !kdc.candidates.is_empty());
        // What could not be asked is asked again soon: the TTL of no records is 0.
        let kdc = match by_srv {
            _ if is_by_uri => kdc?,
            Ok(by_srv) if !by_srv.candidates.is_empty() => kdc.unwrap_or_default().and(by_srv),
            none => none?.and(kdc?),
        };
        let kpasswd = match kpasswd {
            // The whole list is better old than in part.
            Err(error) if is_by_uri || kdc.candidates.is_empty() => return Err(error),
            kpasswd => kpasswd.unwrap_or_default(),
        };
        let (kdc, mut kpasswd) = (kdc.best(), kpasswd.best());
        if kpasswd.candidates.is_empty() {
            // Passwords are changed where logins go, and first of all where writes are taken.
            kpasswd.candidates.clone_from(&kdc.candidates);
            kpasswd.candidates.sort_by_key(|one| !one.primary);
        }
        Ok([kdc, kpasswd])
    }

    /// Asks for the records of this `kind` at `labels` below the domain.
    async fn ask(
        &self,
        resolver: &TokioResolver,
        labels: &str,
        kind: RecordType,
        limit: Duration,
    ) -> Result<Records, LookUpError> {
        let name = self.name(labels)?;
        // RFC 2782 has the protocol in the name.
        let transport = if labels.ends_with("_udp") {
            Transport::UdpFirst
        } else {
            Transport::TcpFirst
        };
        let answer = timeout(limit, resolver.lookup(name.clone(), kind)).await;
        match answer.map_err(|_| LookUpError::TimedOut)? {
            Ok(answer) => Ok(self.judge(answer.answers(), transport)),
            // That there is no such name, or nothing of that type, is an answer, good for as long as the zone says (RFC 2308 5).
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, NoError | NXDomain) =>
            {
                Ok(Records {
                    ttl: none.negative_ttl.unwrap_or(0),
                    ..Records::default()
                })
            }
            Err(error) => Err(LookUpError::NoAnswer(name.to_ascii(), error.to_string())),
        }
    }

    /// Fully qualified: no search list has a say in it.
    fn name(&self, labels: &str) -> Result<Name, LookUpError> {
        let domain = &self.realm;
        let name = Name::from_ascii(format!("{labels}.{domain}."));
        let name = name.ok().filter(|_| is_host(domain));
        name.ok_or_else(|| LookUpError::NotADomain(domain.clone()))
    }

    /// Set up anew for each look-up, so that a change of the system's name servers is followed.
    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = match self.name_server {
            None => Resolver::builder_tokio()?,
            Some(address) => {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                let connections = server.connections.iter_mut();
                connections.for_each(|connection| connection.port = address.port());
                let config = ResolverConfig::from_name_servers(vec![server]);
                Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = options.timeout.min(NAME_SERVER_TIME);
        // What is good for how long is told to the caller, who asks again when it is not.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build()
    }
}

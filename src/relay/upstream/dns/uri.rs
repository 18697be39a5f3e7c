//! What a zone says of KDC proxies, to the URLs that are asked, in their order. Pure: the random numbers are an argument.
//!
//! URI records (RFC 7553) as MIT krb5 reads them: `krb5srv:FLAGS:kkdcp:URL`, where the flag `m` says that it leads to the
//! KDC that takes writes. SRV records (RFC 2782) of `_kerberos._https` as Kerberos.NET reads them: a host and a port, and the
//! path that [MS-KKDCP] 2.1 gives the service.

use url::Host;

use super::order::{Ranked, ordered};
use super::targets::is_host;
use super::{MAX_REFUSED, Refusal, Refused};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::kkdcp::ProxyUrl;

/// Characters of a record that are worth telling.
const MAX_TOLD: usize = 200;

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
    pub fn refuses(&self, proxy: &ProxyUrl) -> Option<Refusal> {
        let url = proxy.as_url();
        if proxy.is_plaintext() && !self.plaintext {
            return Some(Refusal::Plaintext);
        }
        if url.port() == Some(0) {
            return Some(Refusal::Port);
        }
        match url.host()? {
            Host::Domain(name) => refuses_name(name.trim_end_matches('.')),
            Host::Ipv4(address) => self.permitted.refuses(address.into()).map(Refusal::Address),
            Host::Ipv6(address) => self.permitted.refuses(address.into()).map(Refusal::Address),
        }
    }
}

fn refuses_name(name: &str) -> Option<Refusal> {
    // Whatever a name server says of it (RFC 6761 6.3).
    let is_local = name == "localhost" || name.ends_with(".localhost");
    match (is_host(name), is_local) {
        (false, _) => Some(Refusal::Name),
        (true, true) => Some(Refusal::Address("loopback")),
        (true, false) => None,
    }
}

/// A KDC proxy as a record names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    priority: u16,
    weight: u16,
    /// Whether it leads to the KDC that takes writes.
    primary: bool,
    url: Result<ProxyUrl, Refused>,
}

impl Ranked for Named {
    fn priority(&self) -> u16 {
        self.priority
    }

    fn weight(&self) -> u16 {
        self.weight
    }

    fn name(&self) -> String {
        match &self.url {
            Ok(url) => url.to_string(),
            Err(refused) => refused.name.clone(),
        }
    }
}

impl Named {
    /// The data of a URI record (RFC 7553 4.5). Nothing if it is about a KDC itself, or a way to it that nobody here knows.
    pub(super) fn of_uri(data: &[u8]) -> Option<Self> {
        let (priority, rest) = data.split_first_chunk()?;
        let (weight, target) = rest.split_first_chunk()?;
        let target = String::from_utf8_lossy(target);
        let (primary, url) = match Krb5srv::read(&target) {
            Some(srv) if srv.transport.eq_ignore_ascii_case("kkdcp") => {
                (srv.is_primary(), ProxyUrl::read(srv.residual).ok())
            }
            Some(_) => return None,
            None => (false, None),
        };
        Some(Self {
            priority: u16::from_be_bytes(*priority),
            weight: u16::from_be_bytes(*weight),
            primary,
            url: url.ok_or_else(|| refused(&target, Refusal::NoProxy)),
        })
    }

    /// An SRV record. Nothing for the root, which says that there is no such service.
    pub(super) fn of_srv(priority: u16, weight: u16, host: &str, port: u16) -> Option<Self> {
        let url = match is_host(host) {
            _ if host.is_empty() => return None,
            true => ProxyUrl::read(&format!("https://{host}:{port}/")).ok(),
            false => None,
        };
        Some(Self {
            priority,
            weight,
            primary: false,
            url: url.ok_or_else(|| refused(&format!("{host}:{port}"), Refusal::Name)),
        })
    }
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

/// A proxy that will be asked, and whether it leads to the KDC that takes writes.
pub(super) type Chosen = (ProxyUrl, bool);

/// The proxies in the order to ask them, and what was refused.
pub(super) fn choose(
    records: Vec<Named>,
    allowed: &Allowed,
    random: &mut impl FnMut(u32) -> u32,
) -> (Vec<Chosen>, Vec<Refused>) {
    let (mut good, mut no) = (Vec::new(), Vec::new());
    for record in records {
        match &record.url {
            Err(refused) => no.push(refused.clone()),
            Ok(url) => match allowed.refuses(url) {
                Some(why) => no.push(refused(url.as_url().as_str(), why)),
                None => good.push(record),
            },
        }
        no.truncate(MAX_REFUSED);
    }
    let (best, surplus) = ordered(once_each(good), random);
    let too_many = |record: &Named| refused(&record.name(), Refusal::TooMany);
    no.extend(surplus.iter().take(MAX_REFUSED).map(too_many));
    no.truncate(MAX_REFUSED);
    let chosen = |record: Named| Some((record.url.ok()?, record.primary));
    (best.into_iter().filter_map(chosen).collect(), no)
}

/// Of several records for one URL the best.
fn once_each(mut records: Vec<Named>) -> Vec<Named> {
    records.sort_by_cached_key(|record| (record.name(), record.priority, u16::MAX - record.weight));
    records.dedup_by(|one, before| one.url == before.url);
    records
}

fn refused(name: &str, why: Refusal) -> Refused {
    let name = name.chars().take(MAX_TOLD).collect();
    Refused { name, why }
}

#[cfg(test)]
mod tests;

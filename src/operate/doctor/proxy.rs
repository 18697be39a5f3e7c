//! A KDC proxy, layer by layer.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpStream;

use super::as_req::Target;
use super::estimate::Pace;
use super::forward::Forward;
use super::handshake::{self, Expected};
use super::line::{Layer, Line};
use super::names::{self, Place};
use super::post::{self, Address, Asked};
use super::sheet::Sheet;
use super::{Terms, tcp};
use crate::relay::advice::{self, Kind, Upstream};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::kkdcp::{KdcProxy, ProxyUrl};
use crate::relay::upstream::tls::Witness;
use crate::relay::upstream::{Bar, Connection, Fault, Unsent};

/// All of them.
const LAYERS: [Layer; 8] = [
    Layer::Names,
    Layer::Tcp,
    Layer::Tls,
    Layer::Http,
    Layer::Envelope,
    Layer::Kdc,
    Layer::Clock,
    Layer::Kpasswd,
];
/// Name, connect and TLS together, as the daemon has it.
const CONNECT: Duration = Duration::from_secs(3);
/// What the doctor itself may add to the deadline, discovery included.
const OWN: Duration = Duration::from_millis(4500);
/// The least that a second question is worth asking in.
const LEAST: Duration = Duration::from_millis(300);

/// A proxy to be looked at.
struct Case<'a> {
    terms: Terms<'a>,
    proxy: &'a ProxyUrl,
    permitted: &'a Permitted,
    name: &'a str,
    /// By when the connection stands, or is given up.
    until: Instant,
}

/// Looks at `proxy`; how fast it is, if it serves.
pub(super) async fn examine(
    terms: Terms<'_>,
    proxy: &ProxyUrl,
    permitted: &Permitted,
) -> (Sheet, Option<Pace>) {
    let name = proxy.as_url().origin().ascii_serialization();
    let mut sheet = Sheet::new(terms.realm, Some(name.clone()));
    let now = Instant::now();
    let case = Case {
        terms,
        proxy,
        permitted,
        name: &name,
        until: (now + CONNECT).min(terms.began + OWN),
    };
    let pace = case.examine(&mut sheet).await;
    let why = match sheet.is_faulty() {
        true => "not asked, as there is a fault before it",
        false => "there was no time left",
    };
    sheet.skip(&LAYERS, why);
    (sheet, pace)
}

impl Case<'_> {
    async fn examine(&self, sheet: &mut Sheet) -> Option<Pace> {
        let connected = self.connect(sheet).await?;
        let witness = match self.proxy.is_plaintext() {
            true => {
                sheet.push(Line::warn(
                    Layer::Tls,
                    "none: everybody on the way reads who asks for what",
                    "write https:// into proxies; allow-plaintext is for tests",
                ));
                None
            }
            false => Some(self.shake(connected, sheet).await?),
        };
        self.question(witness.as_ref(), sheet).await
    }

    fn upstream(&self) -> Upstream<'_> {
        Upstream {
            kind: Kind::Proxy,
            name: self.name,
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// A connection to the proxy, or to what stands before it and lets it through.
    async fn connect(&self, sheet: &mut Sheet) -> Option<TcpStream> {
        let url = self.proxy.as_url();
        let forward = Forward::of(&self.terms.entry.out.via, url);
        let (place, permitted) = match &forward {
            Some(forward) => (forward.place.clone(), &Permitted::Any),
            None => (self.place(), self.permitted),
        };
        let looked = names::look_up(&place, permitted, self.upstream(), self.left()).await;
        let (addresses, line) = looked;
        let found = !addresses.is_empty();
        sheet.push(line);
        if !found {
            return None;
        }
        let stream = match tcp::connect(&addresses, self.left()).await {
            Ok((stream, line)) => {
                sheet.push(line);
                stream
            }
            Err((address, error)) => {
                sheet.push(match &forward {
                    Some(forward) => self.no_forward(forward, address, &error),
                    None => tcp::fault(address, &error, self.upstream()),
                });
                return None;
            }
        };
        match forward {
            Some(forward) if !self.proxy.is_plaintext() => {
                self.through(&forward, stream, sheet).await
            }
            _ => Some(stream),
        }
    }

    fn place(&self) -> Place {
        let url = self.proxy.as_url();
        Place {
            host: host(url).to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            key: Kind::Proxy.key(),
        }
    }

    fn no_forward(&self, forward: &Forward, address: SocketAddr, error: &std::io::Error) -> Line {
        let barred = Fault::NotSent(Unsent::Barred {
            by: format!("what http-proxy names, {} at {address},", forward.name),
            bar: Bar::Unreachable,
            why: error.to_string(),
        });
        let advice = advice::on(&barred, self.upstream());
        Line::fault(Layer::Tcp, advice.what, advice.hint.unwrap_or_default())
    }

    async fn through(
        &self,
        forward: &Forward,
        stream: TcpStream,
        sheet: &mut Sheet,
    ) -> Option<TcpStream> {
        let began = Instant::now();
        let passed = tokio::time::timeout(self.left(), forward.through(stream)).await;
        match passed {
            Ok(Some(Ok(stream))) => {
                let what = format!("{} lets it through to the proxy", forward.name);
                sheet.push(Line::ok(Layer::Tcp, what).figure(began.elapsed()));
                Some(stream)
            }
            // What is in its way the daemon's own client says best, and in the same words as the log.
            _ => {
                self.question(None, sheet).await;
                if !sheet.is_faulty() {
                    let what = format!("the doctor itself does not speak as {} does", forward.name);
                    sheet.push(Line::skipped(Layer::Tls, what));
                }
                None
            }
        }
    }

    /// The handshake, and what it shows. Nothing after a fault.
    async fn shake(&self, stream: TcpStream, sheet: &mut Sheet) -> Option<Witness> {
        let Terms {
            entry,
            roots,
            table,
            ..
        } = self.terms;
        let extra = entry.ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let (config, witness) = match roots.witnessed(extra, &entry.out) {
            Ok(both) => both,
            Err(error) => {
                let what = format!("TLS cannot be set up: {error}");
                sheet.push(Line::fault(
                    Layer::Tls,
                    what,
                    "install the system's roots (ca-certificates), or set ca-file",
                ));
                return None;
            }
        };
        let host = host(self.proxy.as_url());
        let now = SystemTime::now();
        match handshake::shake(stream, host, config, self.left()).await {
            Ok(line) => {
                sheet.push(line);
                sheet.push(handshake::chain(&witness.presented(), now));
                if !entry.out.pins.is_empty() {
                    sheet.push(Line::ok(Layer::Tls, "a key of its chain is among the pins"));
                }
                Some(witness)
            }
            Err(error) => {
                let expected = Expected { host, table };
                sheet.push(handshake::fault(
                    &error,
                    &witness.presented(),
                    expected,
                    now,
                ));
                None
            }
        }
    }

    /// Asks for tickets, as a client of the daemon would have it ask.
    async fn question(&self, witness: Option<&Witness>, sheet: &mut Sheet) -> Option<Pace> {
        let Terms {
            entry,
            realm,
            roots,
            ..
        } = self.terms;
        let extra = entry.ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client(extra, &entry.out).ok()?;
        let url = self.proxy.as_url().clone();
        let proxy = KdcProxy::new(url, tls, &entry.out, self.permitted.clone());
        let domain = self.terms.target_domain();
        let address = Address {
            realm,
            domain: &domain,
            hint: entry.dclocator_hint,
        };
        let fresh = Connection::Fresh;
        let first = post::ask(&proxy, address, Target::Tgt, fresh, entry.deadline).await;
        let was_asked = witness.is_some_and(Witness::was_asked);
        if was_asked && !wants_certificate(&first) {
            sheet.push(Line::ok(
                Layer::Tls,
                match &entry.out.identity {
                    Some(own) => format!(
                        "it asks for a client certificate, and is shown {}",
                        own.file.display()
                    ),
                    None => "it asks for a client certificate, and does without".to_owned(),
                },
            ));
        }
        for line in first.lines(self.upstream()) {
            sheet.push(line);
        }
        let heard = first.end.ok()?;
        sheet.push(heard.kdc(Layer::Kdc, Target::Tgt, realm.as_str()));
        if sheet.is_faulty() {
            return None;
        }
        sheet.push(heard.clock());
        let left = self.terms.ends().saturating_duration_since(Instant::now());
        if left < LEAST {
            let cold = heard.took();
            return Some(Pace { cold, warm: cold });
        }
        let again = async |connection| {
            post::ask(&proxy, address, Target::ChangePw, connection, left / 2).await
        };
        let mut second = again(Connection::Any).await;
        if second.was_over_a_closed_connection() {
            second = again(Connection::Fresh).await;
        }
        let (line, warm) = match &second.end {
            Ok(second) => (
                second.kdc(Layer::Kpasswd, Target::ChangePw, realm.as_str()),
                second.took(),
            ),
            Err(fault) => {
                let advice = advice::on(fault, self.upstream());
                let hint = advice.hint.unwrap_or_default();
                (Line::fault(Layer::Kpasswd, advice.what, hint), heard.took())
            }
        };
        sheet.push(line);
        Some(Pace {
            cold: heard.took(),
            warm,
        })
    }
}

fn wants_certificate(asked: &Asked) -> bool {
    asked.end.as_ref().is_err_and(|fault| {
        use crate::relay::upstream::Credential::{Certificate, OtherCertificate};
        matches!(
            fault,
            Fault::Uncertified | Fault::Wants(Certificate | OtherCertificate)
        )
    })
}

/// Without the brackets of IPv6.
fn host(url: &url::Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

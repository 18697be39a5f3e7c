//! KDCs: the question that they are asked in the name of nobody, by whatever way, what a reply says of the KDC and of the clocks,
//! and those that are asked themselves where they can be reached.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::RealmContext;
use super::connection::{self, HostPort};
use super::realm::ReplyTimes;
use super::report::Section;
use crate::relay::explain::{UpstreamKind, UpstreamRef, explain};
use crate::relay::finding::{Figure, Finding, Layer};
use crate::relay::upstream::kdc::{self, Kdc, Permitted, Reach, Transport};
use crate::relay::upstream::{ConnReuse, Fault, SendState};
use crate::wire::{KerberosMessage, Realm, Reply, Service, as_req};

/// Who asks: a name that nobody has, and that tells whoever reads the KDC's log what it was.
const NOBODY: &str = "loopkdc-doctor";
/// Clocks may differ by less than this (RFC 4120 7.5.1, and what KDCs are shipped with).
const LIMIT: Duration = Duration::from_secs(300);
/// From here on something is wrong with one of them.
const ODD: Duration = Duration::from_secs(60);

/// Of a KDC that is asked itself.
const LAYERS: [Layer; 5] = [
    Layer::Names,
    Layer::Tcp,
    Layer::Kdc,
    Layer::Clock,
    Layer::Kpasswd,
];
/// Until a KDC that is near has taken a connection.
const CONNECT: Duration = Duration::from_secs(2);
const AWAY: &str = "it is not on this network, which is no fault";

/// A new request for a ticket for krbtgt/REALM, as kinit makes it, or for kadmin/changepw, as kpasswd does: its nonce keeps
/// every retransmit cache on the way from taking it for another.
pub(super) fn question(realm: &Realm, service: Service) -> Option<KerberosMessage> {
    let nonce = RandomState::new().hash_one(0) as u32;
    let octets = as_req::encode(NOBODY, realm, service, nonce);
    KerberosMessage::parse(Service::Kdc, octets.into()).ok()
}

/// A reply, and when it was asked for and came, by the clock here.
#[derive(Debug)]
pub(super) struct TimedReply {
    reply: Reply,
    asked: SystemTime,
    came: SystemTime,
}

impl TimedReply {
    /// What `sending` a question brings.
    ///
    /// # Errors
    /// What it brings instead, or [`Fault::Silent`] if it takes longer than `limit`.
    pub(super) async fn wait(
        limit: Duration,
        sending: impl Future<Output = Result<Reply, Fault>>,
    ) -> Result<Self, Fault> {
        let asked = SystemTime::now();
        let reply = timeout(limit, sending).await;
        Ok(Self {
            reply: reply.unwrap_or(Err(Fault::Silent))?,
            asked,
            came: SystemTime::now(),
        })
    }

    /// How long it took; nothing if the clock was set meanwhile.
    pub(super) fn took(&self) -> Duration {
        self.came.duration_since(self.asked).unwrap_or_default()
    }

    /// What it says of the KDC of `realm` that was asked for a ticket for `service`.
    pub(super) fn kdc(&self, service: Service, realm: &Realm) -> Finding {
        let (layer, name) = match service {
            Service::Kdc => (Layer::Kdc, "krbtgt"),
            Service::Kpasswd => (Layer::Kpasswd, "kadmin/changepw"),
        };
        let finding = match self.reply.error_code() {
            None => {
                let what = format!("the KDC answers ({} for {name})", self.reply.kind());
                Finding::ok(layer, what)
            }
            Some(code) => of_code(layer, code, service, realm),
        };
        finding.figure(self.took())
    }

    /// How far apart the clocks are, if the reply tells.
    pub(super) fn clock(&self) -> Finding {
        let Some(theirs) = self.reply.server_time() else {
            return Finding::skipped(Layer::Clock, "the KDC's reply has no time in it");
        };
        // It was written somewhere between the question and the reply.
        let ours = self.asked + self.took() / 2;
        let (apart, is_behind) = match ours.duration_since(theirs) {
            Ok(ahead) => (ahead, false),
            Err(behind) => (behind.duration(), true),
        };
        let seconds = i64::try_from(apart.as_secs_f64().round() as u64).unwrap_or(i64::MAX);
        let figure = Figure::Seconds(if is_behind { -seconds } else { seconds });
        if apart < ODD {
            let what = "this machine's clock agrees with the KDC's";
            return Finding::ok(Layer::Clock, what).figure(figure);
        }
        let way = if is_behind { "behind" } else { "ahead of" };
        let what = |sign| {
            format!("this machine's clock is {way} the KDC's{sign} Kerberos takes less than 300 s")
        };
        let finding = if apart < LIMIT {
            Finding::warning(what(";"))
        } else {
            Finding::fault(what(":"))
        };
        set_clock(finding.on(Layer::Clock)).figure(figure)
    }
}

fn set_clock(finding: Finding) -> Finding {
    finding.command("set the clock", ["timedatectl", "set-ntp", "true"])
}

/// RFC 4120 7.5.9.
fn of_code(layer: Layer, code: i32, service: Service, realm: &Realm) -> Finding {
    let what = |text: &str| format!("{text} (KRB-ERROR {code})");
    let ok = |text: &str| Finding::ok(layer, what(text));
    let fault = |text: &str| Finding::fault(what(text)).on(layer);
    let warning = |text: &str| Finding::warning(what(text)).on(layer);
    let of_policy = "ask who runs it; the proxy may know the realm by another name: target-domain";
    let other_kdc = "who runs it should look after its KDCs; meanwhile list another in proxies";
    let check = ["loopkdc", "check"];
    match (code, service) {
        // C_PRINCIPAL_UNKNOWN; CLIENT_REVOKED, which some say of all whom they don't know.
        (6 | 18, Service::Kdc) => {
            ok("the KDC answers; as expected, it knows nobody called loopkdc-doctor")
        }
        (6 | 18, Service::Kpasswd) => {
            ok("the KDC answers for kadmin/changepw; nothing was changed")
        }
        (24 | 25 | 14, _) => ok("the KDC answers: it asks for a password"),
        (7, Service::Kdc) => fault(&format!("the KDC does not know realm {realm}")).command(
            "see whether proxies and target-domain lead to this realm's KDC",
            check,
        ),
        (7, Service::Kpasswd) => fault("the KDC has no kadmin/changepw")
            .hint("passwords of this realm are changed in another way: ask who runs it"),
        (68, _) => fault(&format!("the KDC is one of another realm than {realm}")).command(
            "write the realm as its KDC has it, short names of it into aliases",
            check,
        ),
        (12, _) => warning("the proxy or the KDC forbids this by its policy").hint(of_policy),
        (29, _) => fault("the KDC says that it is not available").hint(other_kdc),
        (37, _) => set_clock(fault("the KDC says that the clock here is wrong")),
        (85, _) => fault("the proxy knows no KDC of the realm").hint(of_policy),
        (86, _) => fault("the KDC behind the proxy does not answer").hint(other_kdc),
        _ => warning("the KDC answers with an error")
            .hint("see what a client makes of it: KRB5_TRACE=/dev/stderr kinit"),
    }
}

/// Looks at the KDC at `name`, `host:port`. That it cannot be reached is no fault: it need not be on every network.
pub(super) async fn examine(
    context: RealmContext<'_>,
    name: &str,
    permitted: &Permitted,
) -> (Section, Option<ReplyTimes>) {
    let mut section = Section::new(context.realm, Some(name.to_owned()));
    let is_here = is_here(name, permitted, &mut section).await;
    let times = if is_here {
        ask(context, name, permitted, &mut section).await
    } else {
        None
    };
    let why = if section.has_fault() {
        "not asked, as there is a fault before it"
    } else {
        AWAY
    };
    section.skip(|layer| LAYERS.contains(&layer), why);
    (section, times)
}

/// Whether it takes connections.
async fn is_here(name: &str, permitted: &Permitted, section: &mut Section) -> bool {
    let away = |layer, what: &str| Finding::skipped(layer, format!("{what}: {AWAY}"));
    let (name, key) = (name.to_owned(), UpstreamKind::Kdc.key());
    let found = HostPort { name, key }.look_up(permitted, CONNECT).await;
    let addresses = match found {
        Ok((addresses, finding)) => {
            section.push(finding);
            addresses
        }
        // Where the office's name server is not, its names are not.
        Err(fault) => {
            section.push(away(Layer::Names, &fault.what));
            return false;
        }
    };
    let connected = connection::connect(&addresses, CONNECT).await;
    let is_here = connected.is_ok();
    section.push(match connected {
        Ok((_, finding)) => finding,
        Err((_, error)) => away(Layer::Tcp, &connection::why(&error)),
    });
    is_here
}

async fn ask(
    context: RealmContext<'_>,
    name: &str,
    permitted: &Permitted,
    section: &mut Section,
) -> Option<ReplyTimes> {
    let kdc = Kdc::new(kdc::Terms {
        name: name.to_owned(),
        transport: Transport::TcpFirst,
        max_in_flight: 1,
        permitted: permitted.clone(),
        reach: Reach::OnSomeNetworks,
    });
    let kind = UpstreamKind::Kdc;
    let mut took = Vec::new();
    for (layer, service) in [
        (Layer::Kdc, Service::Kdc),
        (Layer::Kpasswd, Service::Kpasswd),
    ] {
        let message = question(context.realm, service)?;
        let sent = SendState::default();
        // krb5kdc closes each connection after one reply.
        let sending = kdc.send(&message, ConnReuse::Never, &sent, false);
        match TimedReply::wait(context.left(), sending).await {
            Ok(reply) => {
                section.push(reply.kdc(service, context.realm));
                if service == Service::Kdc && !section.has_fault() {
                    section.push(reply.clock());
                }
                took.push(reply.took());
            }
            Err(fault) => section.push(explain(&fault, UpstreamRef { kind, name }).on(layer)),
        }
        if section.has_fault() {
            return None;
        }
    }
    Some(ReplyTimes {
        cold: *took.first()?,
        warm: *took.last()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::finding::Severity;
    use crate::wire::krb_error;

    fn heard(code: i32, apart: i64) -> TimedReply {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let theirs = SystemTime::UNIX_EPOCH
            + Duration::from_secs(1_700_000_000_u64.saturating_add_signed(-apart));
        let error = krb_error::encode(code, None, Service::Kdc, None, theirs);
        TimedReply {
            reply: Reply::parse(Service::Kdc, error.into()).unwrap(),
            asked,
            came: asked + Duration::from_millis(20),
        }
    }

    #[test]
    fn a_kdc_that_does_not_know_nobody_is_well() {
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        for code in [6, 18, 24, 25] {
            let finding = heard(code, 0).kdc(Service::Kdc, &realm);
            assert_eq!(finding.severity, Severity::Ok, "{code}");
            assert_eq!(finding.figure, Some(Figure::Milliseconds(20.0)));
        }
        for code in [7, 29, 68, 37, 85, 86] {
            let finding = heard(code, 0).kdc(Service::Kdc, &realm);
            assert_eq!(finding.severity, Severity::Fault, "{code}");
            assert!(!finding.hints.is_empty(), "{code}");
        }
    }

    #[test]
    fn clocks_may_differ_by_less_than_five_minutes() {
        for (apart, severity) in [
            (0, Severity::Ok),
            (59, Severity::Ok),
            (-59, Severity::Ok),
            (61, Severity::Warning),
            (-299, Severity::Warning),
            (300, Severity::Fault),
            (-301, Severity::Fault),
            (86_400, Severity::Fault),
        ] {
            let finding = heard(6, apart).clock();
            assert_eq!(finding.severity, severity, "{apart}");
            assert_eq!(finding.figure, Some(Figure::Seconds(apart)), "{apart}");
        }
        assert!(heard(6, -100).clock().what.contains("behind"));
        assert!(heard(6, 100).clock().what.contains("ahead of"));
    }
}

//! KDCs: the question that they are asked in the name of nobody, by whatever way, what a reply says of the KDC and of the clocks,
//! and those that are asked themselves where they can be reached.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::AskedRealm;
use super::connection;
use super::realm::{Examined, ReplyTimes};
use super::report::is_fault;
use crate::relay::asking;
use crate::relay::explain::{explain, explain_error_code, set_clock};
use crate::relay::finding::{Figure, Finding, Layer, Severity};
use crate::relay::routes::random;
use crate::relay::upstream::kdc::{self, Kdc, Permitted, Reach, Transport};
use crate::relay::upstream::{ConnReuse, Fault, Outgoing, SendState};
use crate::wire::kpasswd::undecryptable_request;
use crate::wire::krb_error::NamedCode;
use crate::wire::{KerberosMessage, NotKerberos, Realm, Reply, Service};

/// The client principal asked for: a name that nobody has, and that says in the KDC's log what this was.
const NOBODY: &str = "loopkdc-doctor";
/// Clocks may differ by less than these seconds (RFC 4120 7.5.1, and what KDCs are shipped with).
const LIMIT: f64 = 300.0;
/// From so many on something is wrong with one of them.
const ODD: f64 = 60.0;
/// What there is to find of one.
const LAYERS: [Layer; 5] = [
    Layer::Names,
    Layer::Tcp,
    Layer::Kdc,
    Layer::Clock,
    Layer::Kpasswd,
];
/// Until a KDC that is near has taken a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// Until an answer over UDP has come to each of two datagrams.
const UDP: Duration = Duration::from_secs(1);
const AWAY: &str = "it is not on this network, which is no fault";

/// What is asked.
///
/// # Errors
/// The realm cannot be asked for.
pub(super) fn question(realm: &Realm, service: Service) -> Result<KerberosMessage, NotKerberos> {
    asking::question(NOBODY, realm, service, random())
}

/// A change of a password that changes none, with which a password server shows that it is there.
///
/// # Errors
/// The realm cannot be asked for.
pub(super) fn empty_change(realm: &Realm) -> Result<KerberosMessage, NotKerberos> {
    let chance = [NOBODY.as_bytes(), &random().to_be_bytes()].concat();
    let octets = undecryptable_request(realm, &chance);
    KerberosMessage::parse(Service::Kpasswd, octets.into())
}

/// The realm cannot be asked for.
pub(super) fn no_question(why: NotKerberos) -> Finding {
    Finding::fault(why.to_string()).on(Layer::Kdc)
}

/// Has `ask` ask for a ticket for either service, the KDC's first; how fast the answers come, if logins are served.
///
/// # Errors
/// They are not.
pub(super) async fn ask_for_both(
    asked: AskedRealm<'_>,
    found: &mut Vec<Finding>,
    ask: impl AsyncFn(Service, &mut Vec<Finding>) -> Result<TimedReply, Finding>,
) -> Result<ReplyTimes, Finding> {
    let first = ask(Service::Kdc, found).await?;
    let finding = first.kdc(Service::Kdc, asked.realm);
    if is_fault(&finding) {
        return Err(finding);
    }
    found.extend([finding, first.clock()]);
    let cold = first.took();
    if !asked.has_time() {
        return Ok(ReplyTimes { cold, warm: cold });
    }
    let (finding, warm) = match ask(Service::Kpasswd, found).await {
        Ok(second) => (second.kdc(Service::Kpasswd, asked.realm), second.took()),
        Err(fault) => (fault.on(Layer::Kpasswd), cold),
    };
    found.push(finding);
    Ok(ReplyTimes { cold, warm })
}

/// What came of an [`empty_change`] that was sent to `name`: a server that lives answers, whatever it says.
pub(super) fn of_password_server(heard: Result<TimedReply, Fault>, name: &str) -> Finding {
    match heard {
        Ok(answer) => {
            Finding::ok(Layer::Kpasswd, "the password server answers").figure(answer.took())
        }
        Err(fault) => {
            let finding = explain(&fault, name).on(Layer::Kpasswd);
            let what = format!("no password server answers: {}", finding.what);
            let finding = Finding {
                hints: Vec::new(),
                ..finding
            };
            finding.reworded(what)
        }
    }
}

/// A reply, and when it was asked for and came, by the clock here.
#[derive(Debug)]
pub(super) struct TimedReply {
    reply: Reply,
    asked: SystemTime,
    came: SystemTime,
}

impl TimedReply {
    /// What `sending` a question brings, of which `sent` knows whether it has left.
    ///
    /// # Errors
    /// What it brings instead, or that it takes longer than `limit`.
    pub(super) async fn wait(
        limit: Duration,
        sent: &SendState,
        sending: impl Future<Output = Result<Reply, Fault>>,
    ) -> Result<Self, Fault> {
        let asked = SystemTime::now();
        let reply = timeout(limit, sending).await;
        let late = |_| Err(Fault::out_of_time(sent.may_have_left()));
        Ok(Self {
            reply: reply.unwrap_or_else(late)?,
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
        let finding = match self.reply.error_code() {
            None => {
                let (layer, name) = asked_for(service);
                let kind = self.reply.kind();
                Finding::ok(layer, format!("the KDC answers ({kind} for {name})"))
            }
            Some(code) => of_code(code, service, realm),
        };
        finding.figure(self.took())
    }

    /// How far apart the clocks are, if the reply tells.
    pub(super) fn clock(&self) -> Finding {
        let Some(theirs) = self.reply.server_time() else {
            return Finding::skipped(Layer::Clock, "the KDC's reply has no time in it");
        };
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default().as_secs_f64()
        };
        // It was written somewhere between the question and the reply.
        let ahead = seconds(self.asked + self.took() / 2) - seconds(theirs);
        let figure = Figure::Seconds(ahead.round() as i64);
        if ahead.abs() < ODD {
            let what = "this machine's clock agrees with the KDC's";
            return Finding::ok(Layer::Clock, what).figure(figure);
        }
        let way = if ahead < 0.0 { "behind" } else { "ahead of" };
        let what =
            format!("this machine's clock is {way} the KDC's: Kerberos takes less than 300 s");
        let mut finding = Finding::warning(what).on(Layer::Clock).figure(figure);
        if ahead.abs() >= LIMIT {
            finding.severity = Severity::Fault;
        }
        set_clock(finding)
    }
}

/// RFC 4120 7.5.9.
fn of_code(code: i32, service: Service, realm: &Realm) -> Finding {
    let (layer, name) = asked_for(service);
    let what = |text: &str| format!("{text}: {}", NamedCode(code));
    let fault = |text: &str| Finding::fault(what(text)).on(layer);
    let of_policy = "ask who runs it; the proxy may know the realm by another name: target-domain";
    let other_kdc = "who runs it should look after its KDCs; meanwhile list another in proxies";
    let lead_here = "see whether proxies and target-domain lead to this realm's KDC";
    let spell = "write the realm as its KDC has it, short names of it into aliases";
    let nobody = format!("as expected, nobody called {NOBODY} gets a ticket");
    match (code, service) {
        // C_PRINCIPAL_UNKNOWN; some say of all whom they do not know ETYPE_NOSUPP, CLIENT_REVOKED, PREAUTH_FAILED or
        // PREAUTH_REQUIRED.
        (6 | 14 | 18 | 24 | 25, _) => {
            let answers = format!("the KDC answers for {name}; {nobody}");
            Finding::ok(layer, what(&answers))
        }
        (7, Service::Kdc) => {
            fault(&format!("the KDC does not know realm {realm}")).typed(lead_here, "loopkdc check")
        }
        (7, Service::Kpasswd) => fault("the KDC has no kadmin/changepw")
            .hint("passwords of this realm are changed in another way: ask who runs it"),
        (68, _) => fault(&format!("the KDC is one of another realm than {realm}"))
            .typed(spell, "loopkdc check"),
        (12, _) => Finding::warning(what("the proxy or the KDC forbids this by its policy"))
            .on(layer)
            .hint(of_policy),
        (29, _) => fault("the KDC says that it is not available").hint(other_kdc),
        (85, _) => fault("the proxy knows no KDC of the realm").hint(of_policy),
        (86, _) => fault("the KDC behind the proxy does not answer").hint(other_kdc),
        _ => match explain_error_code(code) {
            Some(finding) => finding.on(layer),
            None => Finding::warning(what("the KDC answers with an error"))
                .on(layer)
                .hint("see what a client makes of it: KRB5_TRACE=/dev/stderr kinit"),
        },
    }
}

/// The layer that a reply tells of, and the principal that a ticket is asked for.
fn asked_for(service: Service) -> (Layer, &'static str) {
    match service {
        Service::Kdc => (Layer::Kdc, "krbtgt"),
        Service::Kpasswd => (Layer::Kpasswd, "kadmin/changepw"),
    }
}

/// Looks at the KDC at `name`, `host:port`. That one of some networks cannot be reached is no fault: where the office's name server is
/// not, its names are not.
pub(super) async fn examine(
    asked: AskedRealm<'_>,
    name: &str,
    permitted: &Permitted,
    reach: Reach,
) -> Examined {
    let mut found = Vec::new();
    let ended = look(asked, name, permitted, reach, &mut found).await;
    Examined::new(asked, name.to_owned(), found, ended, (&LAYERS, AWAY))
}

async fn look(
    asked: AskedRealm<'_>,
    name: &str,
    permitted: &Permitted,
    reach: Reach,
    found: &mut Vec<Finding>,
) -> Result<ReplyTimes, Finding> {
    let connected = connection::connect(name, name, permitted, CONNECT, found).await;
    // It is closed again: a KDC may take one at a time.
    let address = connected.map(|stream| stream.peer_addr().ok());
    let address = address.map_err(|fault| match reach {
        Reach::Always => fault,
        Reach::OnSomeNetworks => {
            let layer = fault.subject.layer.unwrap_or(Layer::Tcp);
            Finding::skipped(layer, format!("{}: {AWAY}", fault.what))
        }
    })?;
    let kdc = client(name, permitted, reach);
    let ask = async |service, _: &mut Vec<Finding>| {
        let message = question(asked.realm, service).map_err(no_question)?;
        // krb5kdc closes each connection after one reply.
        let outgoing = Outgoing::new(message, ConnReuse::Never);
        let sending = kdc.send(&outgoing);
        let reply = TimedReply::wait(asked.left(), &outgoing.sent, sending).await;
        reply.map_err(|fault| explain(&fault, name).on(Layer::Kdc))
    };
    let times = ask_for_both(asked, found, ask).await?;
    if let Some(address) = address.filter(|_| reach == Reach::Always) {
        found.push(over_udp(asked, Service::Kdc, address).await);
    }
    Ok(times)
}

/// Sends the password server at `name` what changes nothing.
pub(super) async fn change_nothing(
    asked: AskedRealm<'_>,
    name: &str,
    permitted: &Permitted,
) -> Finding {
    let message = match empty_change(asked.realm) {
        Ok(message) => message,
        Err(why) => return no_question(why),
    };
    let client = client(name, permitted, Reach::Always);
    let outgoing = Outgoing::new(message, ConnReuse::Never);
    let sending = client.send(&outgoing);
    let heard = TimedReply::wait(asked.left() / 2, &outgoing.sent, sending).await;
    of_password_server(heard, name)
}

fn client(name: &str, permitted: &Permitted, reach: Reach) -> Kdc {
    Kdc::new(kdc::KdcOptions {
        name: name.to_owned(),
        transport: Transport::TcpFirst,
        max_in_flight: 1,
        permitted: permitted.clone(),
        reach,
    })
}

/// Whether the server at `address` answers over UDP, too.
pub(super) async fn over_udp(
    asked: AskedRealm<'_>,
    service: Service,
    address: SocketAddr,
) -> Finding {
    let layer = asked_for(service).0;
    let message = match service {
        Service::Kdc => question(asked.realm, service),
        Service::Kpasswd => empty_change(asked.realm),
    };
    let message = match message {
        Ok(message) => message,
        Err(why) => return no_question(why),
    };
    match ask_over_udp(asked, address, message.bytes()).await {
        Ok(took) => Finding::ok(layer, format!("{address} answers over UDP, too")).figure(took),
        Err(error) => Finding::warning(format!("{address} does not answer over UDP: {error}"))
            .on(layer)
            .hint(
                "what is asked over TCP needs no UDP: transport = \"tcp\"; else open the firewall",
            ),
    }
}

/// How long it takes until something comes from `address`.
async fn ask_over_udp(
    asked: AskedRealm<'_>,
    address: SocketAddr,
    octets: &[u8],
) -> io::Result<Duration> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    let began = Instant::now();
    let mut answer = [0; 1];
    // A datagram may be lost once.
    for _ in 0..2 {
        socket.send(octets).await?;
        let limit = UDP.min(asked.left());
        if let Ok(received) = timeout(limit, socket.recv(&mut answer)).await {
            received?;
            return Ok(began.elapsed());
        }
    }
    Err(ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;
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

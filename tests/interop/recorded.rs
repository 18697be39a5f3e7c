//! What goes over the wires of a test, on both sides of the tunnel: the one must be the other, octet by octet.
//!
//! A test of this suite is recorded and compared whatever it is about, unless a client in it goes past the program.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use loopkdc::wire::{Framed, KerberosMessage, Reply, Resend, Service, krb_error};

use crate::support::netns::{self, isolated_as, test_name};
use crate::support::process::{PATIENCE, Process};
use crate::table;

/// Where the program listens; every server has another address.
const DOOR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// Where nobody listens: a datagram to it is the last that is recorded.
const END: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 255, 255, 254), KDC);
const KDC: u16 = 88;
const KPASSWD: u16 = 464;
/// How soon the last datagram is sent again, should it be lost.
const AGAIN: Duration = Duration::from_millis(500);
/// Octets of the length before a message in a stream (RFC 4120 7.2.2).
const LENGTH: usize = 4;

/// Runs `body` in a network of its own, and compares what went through the tunnel. What it says that comes through counts
/// after that.
pub(crate) fn isolated<F: FnOnce()>(body: F) {
    isolated_as(&test_name::<F>(), || {
        let recorder = Recorder::start();
        body();
        let compared = recorder.end().compare().unwrap();
        eprintln!("octet by octet: {compared} replies to clients");
        table::write(compared);
    });
}

/// tcpdump at work.
struct Recorder {
    _tcpdump: Process,
    record: Receiver<Record>,
}

impl Recorder {
    fn start() -> Recorder {
        let mut child = Command::new("tcpdump")
            .args([
                "-i",
                "lo",
                "-U",
                "--immediate-mode",
                "-s",
                "0",
                "-B",
                "16384",
            ])
            .args(["-Z", "root", "-w", "-", "port 88 or port 464"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcpdump starts; tests/run installs it");
        let stdout = child.stdout.take().unwrap();
        let (tell, record) = channel();
        thread::spawn(move || tell.send(Record::read(stdout)));
        let tcpdump = Process::adopt("tcpdump", child);
        tcpdump.wait_for("listening on lo");
        Recorder {
            _tcpdump: tcpdump,
            record,
        }
    }

    /// Waits until all that was sent so far is recorded.
    fn end(self) -> Record {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for _ in 0..PATIENCE.as_millis() / AGAIN.as_millis() {
            socket.send_to(b"the end", END).unwrap();
            if let Ok(record) = self.record.recv_timeout(AGAIN) {
                return record;
            }
        }
        panic!("tcpdump does not see the end");
    }
}

/// The two ends of a flow: who sent it, and to whom.
type Ends = (SocketAddr, SocketAddr);

/// What one end of a TCP connection said.
#[derive(Default)]
struct Stream {
    /// The number of its first octet.
    first: u32,
    octets: Vec<u8>,
}

/// All that was said, by who said it to whom.
#[derive(Default)]
struct Record {
    datagrams: BTreeMap<Ends, Vec<Vec<u8>>>,
    streams: BTreeMap<Ends, Vec<Stream>>,
}

impl Record {
    /// Reads a capture (pcap-savefile(5)) up to the datagram that ends it.
    fn read(mut capture: ChildStdout) -> Record {
        let mut record = Record::default();
        capture.read_exact(&mut [0; 24]).unwrap();
        loop {
            let mut head = [0; 16];
            capture.read_exact(&mut head).unwrap();
            let [.., a, b, c, d, _, _, _, _] = head;
            let mut packet = vec![0; u32::from_ne_bytes([a, b, c, d]) as usize];
            capture.read_exact(&mut packet).unwrap();
            if !record.add(&packet) {
                return record;
            }
        }
    }

    /// Adds a packet; says whether there may be more.
    fn add(&mut self, packet: &[u8]) -> bool {
        let packet = SlicedPacket::from_ethernet(packet).unwrap();
        let (from, to) = match packet.net {
            Some(NetSlice::Ipv4(ip)) => (
                IpAddr::V4(ip.header().source_addr()),
                IpAddr::V4(ip.header().destination_addr()),
            ),
            Some(NetSlice::Ipv6(ip)) => (
                IpAddr::V6(ip.header().source_addr()),
                IpAddr::V6(ip.header().destination_addr()),
            ),
            _ => return true,
        };
        match packet.transport {
            Some(TransportSlice::Udp(udp)) => {
                let ends = ((from, udp.source_port()), (to, udp.destination_port()));
                let ends: Ends = (ends.0.into(), ends.1.into());
                if ends.1 == SocketAddr::from(END) {
                    return false;
                }
                let datagrams = self.datagrams.entry(ends).or_default();
                datagrams.push(udp.payload().to_vec());
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let ends = ((from, tcp.source_port()), (to, tcp.destination_port()));
                let streams = self.streams.entry((ends.0.into(), ends.1.into()));
                let streams = streams.or_default();
                if tcp.syn() {
                    Stream::begin(streams, tcp.sequence_number());
                } else if let Some(stream) = streams.last_mut() {
                    stream.add(tcp.sequence_number(), tcp.payload());
                }
            }
            _ => {}
        }
        true
    }

    /// What was asked of those that `are_asked`, each with what was answered.
    fn exchanges(&self, are_asked: impl Fn(&SocketAddr) -> bool) -> Vec<Exchange> {
        let over_udp = self.datagrams.iter().flat_map(|((client, server), said)| {
            let heard = self.datagrams.get(&(*server, *client));
            Exchange::over_udp(server, said, heard.map_or(&[], Vec::as_slice))
        });
        let over_tcp = self.streams.iter().flat_map(|((client, server), said)| {
            let heard = self.streams.get(&(*server, *client));
            said.iter().enumerate().flat_map(move |(number, said)| {
                let heard = heard.and_then(|heard| heard.get(number));
                let heard = heard.map(Stream::messages).unwrap_or_default();
                Exchange::over_tcp(server, said.messages(), heard)
            })
        });
        let all = over_udp.chain(over_tcp);
        all.filter(|one| [KDC, KPASSWD].contains(&one.server.port()) && are_asked(&one.server))
            .collect()
    }

    /// How many replies went to clients.
    ///
    /// # Errors
    /// A client said what is not valid; a KDC was asked what no client had said, but for what the program asks in nobody's name; or twice what must not be
    /// asked twice; or a client heard what no KDC had answered to its request, other than what the tunnel says in its own name.
    fn compare(&self) -> Result<usize, String> {
        let inside = self.exchanges(|server| DOOR.contains(&server.ip()));
        let outside = self.exchanges(|server| !DOOR.contains(&server.ip()));
        if inside.is_empty() {
            // The program was not asked.
            return Ok(0);
        }
        inside.iter().try_for_each(Exchange::check_validity)?;
        for kdc in &outside {
            if kdc.is_the_programs_own() {
                continue;
            }
            if !inside.iter().any(|client| client.shares_a_request(kdc)) {
                return Err(format!("no client said {:02x?}", kdc.requests));
            }
            let answered = outside.iter().filter(|other| other.repeats(kdc)).count();
            if answered > 1 && kdc.must_be_sent_once() {
                return Err(format!("{answered} times {:02x?}", kdc.requests));
            }
        }
        for client in inside.iter().filter(|client| client.reply.is_some()) {
            let told: Vec<_> = outside
                .iter()
                .filter(|kdc| kdc.shares_a_request(client))
                .collect();
            if !client.was_told_by_one_of(&told) && !client.was_told_by_the_tunnel(&told) {
                return Err(format!("no KDC answered {:02x?}", client.reply));
            }
        }
        Ok(inside
            .iter()
            .filter(|client| client.reply.is_some())
            .count())
    }
}

impl Stream {
    /// A connection begins; its SYN may come twice.
    fn begin(streams: &mut Vec<Stream>, number: u32) {
        let first = number.wrapping_add(1);
        let again = streams.last();
        if again.is_none_or(|last| last.first != first || !last.octets.is_empty()) {
            let octets = Vec::new();
            streams.push(Stream { first, octets });
        }
    }

    fn add(&mut self, number: u32, octets: &[u8]) {
        if octets.is_empty() {
            // After an end it is counted one further (RFC 9293 3.4).
            return;
        }
        let at = number.wrapping_sub(self.first) as usize;
        // What lies before is a keep-alive, or came twice.
        if at == self.octets.len() {
            self.octets.extend_from_slice(octets);
        } else {
            let is_old = at + octets.len() <= self.octets.len() || at > u32::MAX as usize / 2;
            assert!(is_old, "tcpdump lost octets of a stream");
        }
    }

    /// The messages in it; the last may be cut short.
    fn messages(&self) -> Vec<Vec<u8>> {
        let mut rest = &self.octets[..];
        let mut messages = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
            let Some((message, after)) =
                after.split_at_checked(u32::from_be_bytes(*length) as usize)
            else {
                break;
            };
            messages.push(message.to_vec());
            rest = after;
        }
        messages
    }
}

/// What a server was asked, and its reply if it gave one.
struct Exchange {
    server: SocketAddr,
    /// Over UDP there may be several, one of which was answered.
    requests: Vec<Vec<u8>>,
    reply: Option<Vec<u8>>,
    is_udp: bool,
}

impl Exchange {
    /// Who listens at a port of their own may be answered several times there.
    fn over_udp(server: &SocketAddr, said: &[Vec<u8>], heard: &[Vec<u8>]) -> Vec<Exchange> {
        let replies = heard.iter().cloned().map(Some);
        let none = (heard.is_empty() && !said.is_empty()).then_some(None);
        let exchange = |reply| Exchange {
            server: *server,
            requests: said.to_vec(),
            reply,
            is_udp: true,
        };
        replies.chain(none).map(exchange).collect()
    }

    /// Each reply is that of the request in its place.
    fn over_tcp(server: &SocketAddr, said: Vec<Vec<u8>>, heard: Vec<Vec<u8>>) -> Vec<Exchange> {
        let mut heard = heard.into_iter();
        let exchange = |request| Exchange {
            server: *server,
            requests: vec![request],
            reply: heard.next(),
            is_udp: false,
        };
        said.into_iter().map(exchange).collect()
    }

    fn service(&self) -> Service {
        match self.server.port() {
            KPASSWD => Service::Kpasswd,
            _ => Service::Kdc,
        }
    }

    /// Whether a gateway would relay what this client says, too: what it takes for valid is what real clients send.
    fn check_validity(&self) -> Result<(), String> {
        let parsed = |request: &Vec<u8>| {
            let message = KerberosMessage::parse(self.service(), request.clone().into());
            message.ok()
        };
        let mut messages = self.requests.iter().filter_map(parsed);
        messages.try_for_each(|message| {
            let told = |invalid| format!("{invalid}: {:02x?}", message.bytes());
            message.validate().map_err(told)
        })
    }

    fn shares_a_request(&self, other: &Exchange) -> bool {
        let mut requests = self.requests.iter();
        self.service() == other.service() && requests.any(|one| other.requests.contains(one))
    }

    /// Whether it was answered, and is the same as `other`, which may be itself. That a KDC asks for another transport or
    /// does not serve is no answer.
    fn repeats(&self, other: &Exchange) -> bool {
        let no_answer = [
            Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG),
            Some(krb_error::KDC_ERR_SVC_UNAVAILABLE),
        ];
        let is_answered = self.reply.is_some() && !no_answer.contains(&self.error_code());
        is_answered && self.shares_a_request(other)
    }

    /// Whether it was asked in nobody's name, whether the realm can be reached, or is a change of a password that nobody can have made.
    fn is_the_programs_own(&self) -> bool {
        let name = b"loopkdc";
        let asks = |request: &Vec<u8>| request.windows(name.len()).any(|part| part == name);
        let is_harmless = !self.must_be_sent_once() || self.service() == Service::Kpasswd;
        self.requests.iter().all(asks) && is_harmless
    }

    fn must_be_sent_once(&self) -> bool {
        self.requests.iter().any(|request| {
            let message = KerberosMessage::parse(self.service(), request.clone().into());
            message.is_ok_and(|message| message.resend() == Resend::Once)
        })
    }

    fn error_code(&self) -> Option<i32> {
        let reply = self.reply.clone()?;
        Reply::parse(self.service(), reply.into())
            .ok()?
            .error_code()
    }

    /// Whether one of these KDCs gave the client's reply. KDC_ERR_SVC_UNAVAILABLE (29) is none for clients: Heimdal's ask
    /// without end after it.
    fn was_told_by_one_of(&self, told: &[&Exchange]) -> bool {
        let is_withheld = self.service() == Service::Kdc
            && self.error_code() == Some(krb_error::KDC_ERR_SVC_UNAVAILABLE);
        !is_withheld && told.iter().any(|kdc| kdc.reply == self.reply)
    }

    /// Whether the tunnel says this in its own name: that a client must come back over TCP, or that it could not be served.
    fn was_told_by_the_tunnel(&self, told: &[&Exchange]) -> bool {
        let is_served = told.iter().any(|kdc| kdc.repeats(self));
        match (self.service(), self.error_code()) {
            (Service::Kdc, Some(krb_error::KRB_ERR_RESPONSE_TOO_BIG)) => self.is_udp,
            (
                _,
                Some(
                    krb_error::KRB_AP_ERR_IAKERB_KDC_NOT_FOUND
                    | krb_error::KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE,
                ),
            ) => !is_served,
            (Service::Kpasswd, Some(krb_error::KDC_ERR_POLICY | krb_error::KRB_ERR_GENERIC)) => {
                !is_served
            }
            _ => false,
        }
    }
}

/// Asks what is said to be Kerberos, where these `requests` and `replies` are heard on both sides.
fn asked(
    over: fn(&[u8], &[u8], Ipv4Addr),
    requests: [&str; 2],
    replies: [&str; 2],
) -> Result<usize, String> {
    let recorder = Recorder::start();
    for (side, host) in [1, 88].into_iter().enumerate() {
        let address = Ipv4Addr::new(127, 0, 0, host);
        over(requests[side].as_bytes(), replies[side].as_bytes(), address);
    }
    recorder.end().compare()
}

fn over_udp(request: &[u8], reply: &[u8], address: Ipv4Addr) {
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = UdpSocket::bind((address, KDC)).unwrap();
    client.send_to(request, (address, KDC)).unwrap();
    let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
    server.send_to(reply, from).unwrap();
    client.recv_from(&mut [0; 16]).unwrap();
}

/// Octet by octet, and twice in a row.
fn over_tcp(request: &[u8], reply: &[u8], address: Ipv4Addr) {
    let listener = TcpListener::bind((address, KDC)).unwrap();
    let mut client = TcpStream::connect((address, KDC)).unwrap();
    let mut server = listener.accept().unwrap().0;
    client.set_nodelay(true).unwrap();
    for _ in 0..2 {
        for octet in Framed::wrap(request).as_bytes() {
            client.write_all(&[*octet]).unwrap();
        }
        server
            .read_exact(&mut vec![0; LENGTH + request.len()])
            .unwrap();
        server.write_all(Framed::wrap(reply).as_bytes()).unwrap();
        client
            .read_exact(&mut vec![0; LENGTH + reply.len()])
            .unwrap();
    }
}

#[test]
fn one_octet_of_difference_is_found() {
    netns::isolated(|| {
        for (over, count) in [(over_udp as fn(&[u8], &[u8], Ipv4Addr), 1), (over_tcp, 2)] {
            assert_eq!(asked(over, ["ask", "ask"], ["tell", "tell"]), Ok(count));
            let changed = asked(over, ["ask", "asK"], ["tell", "tell"]);
            assert!(changed.unwrap_err().contains("no client said"));
            let changed = asked(over, ["ask", "ask"], ["tell", "telL"]);
            assert!(changed.unwrap_err().contains("no KDC answered"));
        }
    });
}

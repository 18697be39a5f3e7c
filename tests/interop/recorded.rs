//! What goes over the wires of a test, on both sides of the tunnel: the one must be the other, octet by octet.
//!
//! Every test of this suite that starts `loopkdc run` is recorded and compared, whatever it is about.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use loopkdc::wire::{Reply, Service, krb_error};

use crate::support::netns::{self, isolated_as, test_name};
use crate::support::process::Process;

/// Where the program listens; every server has another address.
const DOOR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
/// Where nobody listens: a datagram to it is the last that is recorded.
const END: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 255, 255, 254), KDC);
const KDC: u16 = 88;
const KPASSWD: u16 = 464;
/// Octets of the length before a message in a stream (RFC 4120 7.2.2).
const LENGTH: usize = 4;

/// Runs `body` in a network of its own, and compares what went through the tunnel.
pub(crate) fn isolated<F: FnOnce()>(body: F) {
    isolated_as(&test_name::<F>(), || {
        let recorder = Recorder::start();
        body();
        let (from_kdcs, to_clients) = recorder.end().compare().unwrap();
        eprintln!("octet by octet: {from_kdcs} replies of KDCs, {to_clients} to clients");
    });
}

/// tcpdump at work.
struct Recorder {
    _tcpdump: Process,
    packets: JoinHandle<Record>,
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
        let packets = thread::spawn(|| Record::read(stdout));
        let tcpdump = Process::adopt("tcpdump", child);
        tcpdump.wait_for("listening on lo");
        Recorder {
            _tcpdump: tcpdump,
            packets,
        }
    }

    /// Waits until all that was sent so far is recorded.
    fn end(self) -> Record {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.send_to(b"the end", END).unwrap();
        self.packets.join().unwrap()
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
    fn exchanges(&self, are_asked: impl Fn(&SocketAddr) -> bool) -> Vec<Exchanges> {
        let is_asked =
            |server: &SocketAddr| [KDC, KPASSWD].contains(&server.port()) && are_asked(server);
        let datagrams = self.datagrams.iter().map(|(ends, said)| {
            let heard = self.datagrams.get(&(ends.1, ends.0));
            let heard = heard.cloned().unwrap_or_default();
            (ends.1, said.clone(), heard)
        });
        let streams = self.streams.iter().flat_map(|((client, server), said)| {
            let heard = self.streams.get(&(*server, *client));
            said.iter().enumerate().map(move |(number, said)| {
                let heard = heard.and_then(|heard| heard.get(number));
                let heard = heard.map(Stream::messages).unwrap_or_default();
                (*server, said.messages(), heard)
            })
        });
        datagrams
            .chain(streams)
            .filter(|(server, ..)| is_asked(server))
            .map(|(server, requests, replies)| Exchanges {
                port: server.port(),
                requests,
                replies,
            })
            .collect()
    }

    /// How many replies came from KDCs and how many went to clients.
    ///
    /// # Errors
    /// A KDC was asked what no client had said; or a client heard what no KDC had answered to its request, other than what
    /// the tunnel says in its own name.
    fn compare(&self) -> Result<(usize, usize), String> {
        let inside = self.exchanges(|server| DOOR.contains(&server.ip()));
        let outside = self.exchanges(|server| !DOOR.contains(&server.ip()));
        if inside.is_empty() {
            // The program was not asked.
            return Ok((0, 0));
        }
        for kdc in &outside {
            let was_said = |request: &&Vec<u8>| inside.iter().any(|one| one.has(kdc.port, request));
            if let Some(request) = kdc.requests.iter().find(|one| !was_said(one)) {
                return Err(format!("no client said {request:02x?}"));
            }
        }
        for client in &inside {
            let is_known = |reply: &&Vec<u8>| {
                outside.iter().any(|kdc| kdc.has_answered(client, reply))
                    || is_own(client.port, reply)
            };
            if let Some(reply) = client.replies.iter().find(|one| !is_known(one)) {
                return Err(format!("no KDC answered {reply:02x?}"));
            }
        }
        let count = |all: &[Exchanges]| all.iter().map(|one| one.replies.len()).sum();
        Ok((count(&outside), count(&inside)))
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

/// What one client and one server said to each other.
struct Exchanges {
    port: u16,
    requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
}

impl Exchanges {
    /// Whether this was asked at this port.
    fn has(&self, port: u16, request: &Vec<u8>) -> bool {
        self.port == port && self.requests.contains(request)
    }

    /// Whether this was answered to something that the client had asked.
    fn has_answered(&self, client: &Exchanges, reply: &Vec<u8>) -> bool {
        let mut asked = self.requests.iter();
        self.replies.contains(reply) && asked.any(|request| client.has(self.port, request))
    }
}

/// Whether the tunnel says this in its own name: that a client must come back over TCP or that it could not be served. It
/// never says KDC_ERR_SVC_UNAVAILABLE (29), which keeps Heimdal's clients asking without end.
fn is_own(port: u16, reply: &[u8]) -> bool {
    let (service, allowed): (_, &[i32]) = match port {
        KPASSWD => (
            Service::Kpasswd,
            &[
                krb_error::KDC_ERR_POLICY,
                krb_error::KRB_ERR_GENERIC,
                krb_error::KRB_AP_ERR_IAKERB_KDC_NOT_FOUND,
                krb_error::KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE,
            ],
        ),
        _ => (
            Service::Kdc,
            &[
                krb_error::KRB_ERR_RESPONSE_TOO_BIG,
                krb_error::KRB_AP_ERR_IAKERB_KDC_NOT_FOUND,
                krb_error::KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE,
            ],
        ),
    };
    let reply = Reply::parse(service, reply.to_vec().into());
    let code = reply.ok().and_then(|reply| reply.error_code());
    code.is_some_and(|code| allowed.contains(&code))
}

/// Asks over UDP what is said to be Kerberos, where these `requests` and `replies` are heard on both sides.
fn asked(requests: [&[u8]; 2], replies: [&[u8]; 2]) -> Result<(usize, usize), String> {
    let recorder = Recorder::start();
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for (side, host) in [1, 88].into_iter().enumerate() {
        let server = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), KDC)).unwrap();
        let address = server.local_addr().unwrap();
        client.send_to(requests[side], address).unwrap();
        let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
        server.send_to(replies[side], from).unwrap();
        client.recv_from(&mut [0; 16]).unwrap();
    }
    recorder.end().compare()
}

#[test]
fn one_octet_of_difference_is_found() {
    netns::isolated(|| {
        assert_eq!(asked([b"ask", b"ask"], [b"tell", b"tell"]), Ok((1, 1)));
        let changed = asked([b"ask", b"asK"], [b"tell", b"tell"]);
        assert!(changed.unwrap_err().contains("no client said"));
        let changed = asked([b"ask", b"ask"], [b"tell", b"telL"]);
        assert!(changed.unwrap_err().contains("no KDC answered"));
    });
}

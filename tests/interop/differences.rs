//! What `loopkdc gateway` and another maker's proxy do otherwise: the table in packaging/doc/interop.md, row by row.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopkdc::wire::{GeneralString, kkdcp};
use tempfile::tempdir;

use crate::recorded::isolated;
use crate::support::proxy::{KdcProxy, Maker, Route, certify, gateway};

const DOCUMENT: &str = include_str!("../../packaging/doc/interop.md");
const AS_REQ: &[u8] = include_bytes!("../vectors/mit-plain.request");
const WITH_PASSWORD: &[u8] = include_bytes!("../vectors/mit-timestamp.request");
const REPLY: &[u8] = include_bytes!("../vectors/mit-plain.reply");

/// What [`a_password_is_tried_at_one_kdc`] shows.
const PASSWORD_ROW: &str = "| a password, and the first of two KDCs is silent | 504, tried once | the reply, tried twice |";

/// The rows of that table.
fn told() -> Vec<&'static str> {
    let lines = DOCUMENT.lines();
    let table = lines.skip_while(|line| !line.starts_with("| asked of |"));
    table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

/// What a KDC does once it has read a request.
#[derive(Clone, Copy)]
enum Act {
    Reply,
    Silence,
    Cut,
    Declare4GiB,
    ReplyTwice,
}

/// A KDC over TCP that does one thing, and counts what it is asked.
struct ScriptedKdc {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl ScriptedKdc {
    fn start(act: Act) -> ScriptedKdc {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let counter = Arc::clone(&counter);
                thread::spawn(move || serve(&stream.unwrap(), act, &counter));
            }
        });
        ScriptedKdc { address, asked }
    }

    /// Nobody: a port that refuses.
    fn absent() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }
}

fn serve(mut stream: &TcpStream, act: Act, asked: &AtomicUsize) {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).is_err() {
        return;
    }
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request).unwrap();
    asked.fetch_add(1, Ordering::SeqCst);
    let reply = framed(REPLY);
    let written = match act {
        Act::Reply => stream.write_all(&reply),
        Act::Silence => stream.read(&mut [0]).map(drop),
        Act::Cut => stream.write_all(&reply[..reply.len() / 2]),
        Act::Declare4GiB => stream.write_all(&[[0xff; 4].as_slice(), &[0x7e; 64]].concat()),
        Act::ReplyTwice => stream.write_all(&reply.repeat(2)),
    };
    drop(written);
    if matches!(act, Act::Declare4GiB) {
        // What was declared may still come, as far as the other end knows.
        let _ = stream.read(&mut [0]);
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes(), message].concat()
}

/// A KDC-PROXY-MESSAGE around these octets.
fn envelope(kerb_message: &[u8], target_domain: Option<&str>) -> Vec<u8> {
    kkdcp::encode(&kkdcp::KdcProxyMessage {
        kerb_message,
        target_domain: target_domain.map(|domain| GeneralString::new(domain.as_bytes())),
        dclocator_hint: None,
    })
}

/// One request to a proxy, and what is said of it.
struct Probe {
    what: &'static str,
    path: &'static str,
    body: Vec<u8>,
    options: &'static [&'static str],
}

/// Posts it: the status, what is in the answer, and whether it took longer than a client waits.
fn ask(proxy: &KdcProxy, dir: &Path, probe: &Probe) -> String {
    let (body, answer) = (dir.join("body"), dir.join("answer"));
    fs::write(&body, &probe.body).unwrap();
    let _ = fs::remove_file(&answer);
    let url = format!("https://localhost:{}{}", proxy.address.port(), probe.path);
    let started = Instant::now();
    let output = Command::new("curl")
        .args([
            "-s",
            "-m",
            "40",
            "--http1.1",
            "-w",
            "%{http_code}",
            "--cacert",
        ])
        .arg(&proxy.ca_file)
        .arg("-o")
        .arg(&answer)
        .arg("--data-binary")
        .arg(format!("@{}", body.display()))
        .args(probe.options)
        .arg(&url)
        .output()
        .expect("curl starts; tests/run installs it");
    let took = started.elapsed();
    let status = String::from_utf8(output.stdout).unwrap();
    let answer = fs::read(&answer).unwrap_or_default();
    let mut said = match status.as_str() {
        "200" if is_reply(&answer) => "the reply".to_owned(),
        "200" => "200 and no reply".to_owned(),
        status => status.to_owned(),
    };
    if took > Duration::from_secs(10) {
        said += " after more than 10 s";
    }
    said
}

fn is_reply(body: &[u8]) -> bool {
    kkdcp::decode(body).is_ok_and(|decoded| decoded.message().0 == REPLY)
}

/// The scene: one realm for each thing that a KDC can do.
const ACTS: [(&str, Act); 5] = [
    ("REPLIES", Act::Reply),
    ("SILENT", Act::Silence),
    ("CUT", Act::Cut),
    ("FOUR-GIB", Act::Declare4GiB),
    ("TWICE", Act::ReplyTwice),
];

fn probes() -> Vec<Probe> {
    let whole = framed(AS_REQ);
    let plain = |what, body| Probe {
        what,
        path: "/KdcProxy",
        body,
        options: &[],
    };
    let for_realm = |what, realm| plain(what, envelope(&framed(AS_REQ), Some(realm)));
    let usual = envelope(&whole, Some("REPLIES"));
    let mut broken = whole.clone();
    // The value of pvno.
    broken[14] = 4;
    // SEQUENCE of indefinite length (X.690 8.1.3.6), which DER has not.
    let ber = [&[0x30, 0x80], der_content(&usual), &[0, 0]].concat();
    vec![
        for_realm("the realm in other letter case", "replies"),
        plain(
            "a message without its length, as Kerberos.NET sends it",
            envelope(AS_REQ, Some("REPLIES")),
        ),
        plain("no target-domain", envelope(&whole, None)),
        plain("an octet after the envelope", [&usual[..], b"\0"].concat()),
        plain("BER that is not DER", ber),
        plain(
            "a kerb-message that is a reply",
            envelope(&framed(REPLY), Some("REPLIES")),
        ),
        plain(
            "an AS-REQ that is not valid inside",
            envelope(&broken, Some("REPLIES")),
        ),
        Probe {
            path: "/other",
            ..plain("another path", usual.clone())
        },
        Probe {
            options: &["-H", "Transfer-Encoding: chunked"],
            ..plain("a body in chunks", usual.clone())
        },
        for_realm("a realm that is not configured", "NOWHERE"),
        for_realm("a KDC that refuses connections", "ABSENT"),
        for_realm("a KDC that is silent", "SILENT"),
        for_realm("a KDC that closes within its reply", "CUT"),
        for_realm("a KDC that declares 4 GiB", "FOUR-GIB"),
        for_realm("a KDC that sends its reply twice", "TWICE"),
    ]
}

/// What a SEQUENCE holds.
fn der_content(der: &[u8]) -> &[u8] {
    match der[1] {
        short @ ..0x80 => &der[2..2 + usize::from(short)],
        long => &der[2 + usize::from(long & 0x7f)..],
    }
}

/// What each of these proxies says to each probe, asked side by side.
fn answers(proxies: &[KdcProxy; 2], dir: &Path) -> Vec<[String; 2]> {
    let asked = probes().into_iter().enumerate().map(|(number, probe)| {
        let probe = Arc::new(probe);
        let ways: Vec<_> = proxies
            .iter()
            .enumerate()
            .map(|(which, proxy)| {
                let dir = dir.join(format!("probe-{number}-{which}"));
                fs::create_dir(&dir).unwrap();
                (proxy, dir)
            })
            .collect();
        (probe, ways)
    });
    let asked: Vec<_> = asked.collect();
    thread::scope(|scope| {
        let running: Vec<_> = asked
            .iter()
            .map(|(probe, ways)| {
                ways.iter()
                    .map(|(proxy, dir)| scope.spawn(move || ask(proxy, dir, probe)))
                    .collect::<Vec<_>>()
            })
            .collect();
        running
            .into_iter()
            .map(|pair| {
                let said: Vec<_> = pair.into_iter().map(|one| one.join().unwrap()).collect();
                said.try_into().unwrap()
            })
            .collect()
    })
}

#[test]
fn the_document_says_what_is_otherwise() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let kdcs: Vec<_> = ACTS
            .iter()
            .map(|(realm, act)| (*realm, ScriptedKdc::start(*act).address))
            .chain([("ABSENT", ScriptedKdc::absent())])
            .collect();
        let route = |(realm, kdc): &(&str, SocketAddr)| Route {
            realm: (*realm).to_owned(),
            kdc: *kdc,
            kpasswd: ScriptedKdc::absent(),
        };
        let routes: Vec<_> = kdcs.iter().map(route).collect();
        // The realm inside is another one than those of the scene.
        let own = dir.path().join("ours");
        fs::create_dir(&own).unwrap();
        certify(&own);
        let configuration = gateway(8443, &routes) + "[defaults]\nserve-other-realms = true\n";
        let proxies = [
            KdcProxy::gateway(&own, 8443, &configuration),
            KdcProxy::of(Maker::Kdcproxy, dir.path(), 8444, &routes),
        ];
        let rows = probes().into_iter().zip(answers(&proxies, dir.path()));
        let rows: Vec<_> = rows
            .map(|(probe, [ours, theirs])| format!("| {} | {ours} | {theirs} |", probe.what))
            .collect();
        let told = told();
        let (last, told) = told.split_last().unwrap();
        assert_eq!(
            told,
            rows,
            "packaging/doc/interop.md says:\n{}",
            told.join("\n")
        );
        assert_eq!(*last, PASSWORD_ROW);
    });
}

/// A password is tried once: the second KDC gets what the first one has only if a copy is harmless.
#[test]
fn a_password_is_tried_at_one_kdc() {
    isolated(|| {
        let tried = |maker, port| {
            let dir = tempdir().unwrap();
            let (first, second) = (
                ScriptedKdc::start(Act::Silence),
                ScriptedKdc::start(Act::Reply),
            );
            let proxy = two_kdcs(maker, dir.path(), port, &[first.address, second.address]);
            let probe = Probe {
                what: "a password",
                path: "/KdcProxy",
                body: envelope(&framed(WITH_PASSWORD), Some("TWO")),
                options: &[],
            };
            let said = ask(&proxy, dir.path(), &probe);
            let asked = [first, second].map(|kdc| kdc.asked.load(Ordering::SeqCst));
            (said, asked)
        };
        let (said, asked) = tried(Maker::Ours, 8443);
        assert_eq!((said, asked), ("504".to_owned(), [1, 0]));
        let (said, asked) = tried(Maker::Kdcproxy, 8444);
        assert_eq!((said.starts_with("the reply"), asked), (true, [1, 1]));
    });
}

/// A proxy for the realm TWO.
fn two_kdcs(maker: Maker, dir: &Path, port: u16, [first, second]: &[SocketAddr; 2]) -> KdcProxy {
    certify(dir);
    match maker {
        Maker::Ours => {
            let serving = "certificate = \"leaf.pem\"\nkey = \"leaf.key\"";
            let kdcs = format!("kdcs = [\"{first}\", \"{second}\"]\nserve-other-realms = true");
            let realm = format!("[realms.\"TWO\"]\n{kdcs}");
            let configuration =
                format!("[gateway]\nlisten = [\"127.0.0.1:{port}\"]\n{serving}\n{realm}\n");
            KdcProxy::gateway(dir, port, &configuration)
        }
        Maker::Kdcproxy => {
            let kdcs = format!("kerberos+tcp://{first} kerberos+tcp://{second}");
            let configuration = format!("[global]\nuse_dns = false\n[TWO]\nkerberos = {kdcs}\n");
            KdcProxy::of_another_maker(dir, port, &configuration)
        }
    }
}

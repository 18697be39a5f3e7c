//! What the program holds when clients come in numbers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use h2::client::{Builder, ResponseFuture, SendRequest};
use loopkdc::gateway::https::HttpLimits;
use rustls::crypto::cipher::OutboundPlainMessage;
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    RootCertStore, SupportedCipherSuite,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::clients::{One, Two, tls, try_handshake};
use crate::crowds::{CROWD, raise_limit_of_descriptors};
use crate::gateway::{Setup, files};
use crate::process::Process;
use crate::{eventually, within};

/// Most KiB for each connection, TLS included.
const MOST: u64 = 40;

/// One address is a whole crowd.
const UNBOUNDED: &str = "client-requests-per-second = 0\nclient-max-in-flight = 0";

type Client = One<TlsStream<TcpStream>>;

async fn ask(client: &mut Client) {
    client
        .send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
        .await;
    // No KDC has replied.
    assert_eq!(client.hear().await.status, 503);
}

/// Resident memory in KiB.
fn resident(process: &Process) -> u64 {
    status(process, "VmRSS:")
}

/// The most that it has been.
fn peak(process: &Process) -> u64 {
    status(process, "VmHWM:")
}

fn status(process: &Process, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The program, and where it serves HTTPS.
fn start(dir: &Path, bounds: &str) -> (Process, SocketAddr) {
    files(dir);
    let config = dir.join("gateway.toml");
    let text = format!(
        r#"
        [gateway]
        listen = ["127.0.0.1:0"]
        certificate = "gateway.pem"
        key = "gateway-key.pem"
        {bounds}
        [realms."EXAMPLE.COM"]
        kdcs = ["127.0.0.1:88"]
    "#
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
    command.args(["gateway", "--config"]).arg(&config);
    command.env("RUNTIME_DIRECTORY", dir);
    // As its unit has it.
    let unit = include_str!("../../packaging/systemd/loopkdc-gateway.service");
    let mut lines = unit.lines();
    let environment = lines.find_map(|line| line.strip_prefix("Environment="));
    let (name, value) = environment.unwrap().split_once('=').unwrap();
    command.env(name, value);
    let process = Process::start("loopkdc gateway", &mut command, " ready ");
    let log = process.log();
    let mut words = log.split_whitespace();
    let address = words.find_map(|word| word.strip_prefix("https=")).unwrap();
    let address = address.parse().unwrap();
    (process, address)
}

/// The program has so many connections at `address`, and has read all that came over them (proc(5)).
fn are_read(process: &Process, address: SocketAddr, connections: usize) -> bool {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", process.id())).unwrap();
    let local = format!(":{:04X}", address.port());
    let lines = table.lines().map(|line| line.split_whitespace().collect());
    let mut here =
        lines.filter(|words: &Vec<_>| words[1].ends_with(&local) && words[3] == ESTABLISHED);
    let is_read = |words: Vec<&str>| words[4].ends_with(":00000000");
    here.clone().count() == connections && here.all(is_read)
}

#[tokio::test]
async fn two_thousand_connections_over_tls_take_little_memory() {
    raise_limit_of_descriptors();
    let dir = tempfile::tempdir().unwrap();
    let (process, address) = start(dir.path(), UNBOUNDED);
    let before = resident(&process);
    let mut crowd: Vec<Client> = Vec::new();
    while crowd.len() < CROWD {
        let connect = || tls(address, &[b"http/1.1"]);
        let connected = join_all((0..250).map(|_| connect())).await;
        crowd.extend(connected.into_iter().map(One::over));
        // So that none of them is idle for too long, however slow the machine.
        for client in &mut crowd {
            ask(client).await;
        }
    }
    let after = resident(&process);
    for client in &mut crowd {
        assert_eq!(client.stream.read(&mut [0]).now_or_never().map(drop), None);
    }
    let each = (after - before) / CROWD as u64;
    assert!(each < MOST, "{each} KiB");
}

/// A message of a handshake that says 64 KiB, in records of their own.
fn endless(message: u8) -> Vec<u8> {
    let mut octets = vec![0; 0xffff];
    octets[..4].copy_from_slice(&[message, 0, 0xff, 0xff]);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], part].concat()
    };
    octets.chunks(4000).flat_map(record).collect()
}

/// The ClientHello of a client that goes on without encryption.
fn hello_of_tls_1_2() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// A crowd that says `first`, and then a `message` without an end, of which so much is `read`, takes little memory, and gives it back.
async fn takes_little_memory(first: &[u8], message: u8, read: usize) {
    raise_limit_of_descriptors();
    let dir = tempfile::tempdir().unwrap();
    let (process, address) = start(dir.path(), UNBOUNDED);
    let octets = [first, &endless(message)].concat();
    let (begin, rest) = octets.split_at(first.len() + read);
    let before = resident(&process);
    let mut crowd = Vec::new();
    while crowd.len() < CROWD {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        crowd.push(stream);
    }
    eventually(|| are_read(&process, address, CROWD)).await;
    let held = resident(&process) - before;
    let each = held / CROWD as u64;
    for stream in &mut crowd {
        // It ends before all is sent.
        drop(stream.write_all(rest).await);
        drop(within(stream.read_to_end(&mut Vec::new())).await);
    }
    drop(crowd);
    assert!(each < MOST, "{each} KiB");
    eventually(|| resident(&process).saturating_sub(before) < held / 3).await;
}

#[tokio::test]
async fn hellos_without_an_end_take_little_memory_and_give_it_back() {
    takes_little_memory(&[], 1, 16_000).await;
}

#[tokio::test]
async fn keys_without_an_end_take_little_memory_and_give_it_back() {
    takes_little_memory(&hello_of_tls_1_2(), 16, 24_000).await;
}

/// Octets of a message that are more than a gateway reads; what rustls itself ends is longer.
const TOO_MUCH: usize = 48_000;

#[tokio::test]
async fn a_handshake_that_goes_on_is_ended() {
    let patient = |limits: &mut HttpLimits| limits.first_request = Duration::from_secs(3600);
    let gateway = Setup::limits(patient).start().await;
    for (first, message) in [(Vec::new(), 1), (hello_of_tls_1_2(), 16)] {
        let mut stream = TcpStream::connect(gateway.tls).await.unwrap();
        let octets = [&first, &endless(message)[..TOO_MUCH]].concat();
        drop(stream.write_all(&octets).await);
        // By a reset, as there is more to be read.
        drop(within(stream.read_to_end(&mut Vec::new())).await);
    }
    let stream = tls(gateway.tls, &[b"http/1.1"]).await;
    let mut stream = goes_on(stream).await;
    drop(within(stream.read_to_end(&mut Vec::new())).await);
}

/// Sends most of a KeyUpdate that says 64 KiB (RFC 8446 4.6.3), which may come at any time.
async fn goes_on(stream: TlsStream<TcpStream>) -> TcpStream {
    let (mut stream, session) = stream.into_inner();
    let Some(SupportedCipherSuite::Tls13(suite)) = session.negotiated_cipher_suite() else {
        panic!("TLS 1.2");
    };
    let secrets = session.dangerous_extract_secrets().unwrap();
    let (first, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else {
        panic!("another cipher");
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let mut octets = vec![0; 0xffff];
    octets[..4].copy_from_slice(&[24, 0, 0xff, 0xff]);
    for (number, fragment) in (first..).zip(octets[..TOO_MUCH].chunks(4000)) {
        let plain = OutboundPlainMessage {
            typ: ContentType::Handshake,
            version: ProtocolVersion::TLSv1_2,
            payload: fragment.into(),
        };
        let record = encrypter.encrypt(plain, number).unwrap().encode();
        drop(stream.write_all(&record).await);
    }
    stream
}

/// Most KiB that clients get out of the gateway who take no answers: 16 MiB of those, and what connections hold with a hundred
/// streams of 4 KiB each, until a second is over.
const UNTAKEN: u64 = 96 * 1024;
/// Those of one address, who would hold all that there is of HTTP/2.
const EACH: usize = 128;

/// A connection of HTTP/2 from `host` whose client takes no answers, and a hundred requests over it.
async fn hoard(address: SocketAddr, host: u8) -> Option<(SendRequest<Bytes>, Vec<ResponseFuture>)> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let stream = try_handshake(stream, &[b"h2", b"http/1.1"], None)
        .await
        .ok()?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return None;
    }
    let mut builder = Builder::new();
    let shaken = builder.initial_window_size(0).handshake::<_, Bytes>(stream);
    let (mut requests, connection) = shaken.await.ok()?;
    tokio::spawn(connection);
    let mut responses = Vec::new();
    for _ in 0..100 {
        requests = within(requests.ready()).await.ok()?;
        let health = Two::request("GET", "/healthz");
        let (response, _) = requests.send_request(health, true).ok()?;
        responses.push(response);
    }
    for response in &mut responses {
        // Refused or not, and be it that the connection ends.
        drop(within(response).await);
    }
    Some((requests, responses))
}

/// HTTP/2 offered, SETTINGS_INITIAL_WINDOW_SIZE 0, and a hundred requests for the health in each connection.
#[tokio::test]
async fn answers_that_nobody_takes_take_little_memory_however_many_addresses_there_are() {
    raise_limit_of_descriptors();
    for hosts in [1, 3, 10] {
        let dir = tempfile::tempdir().unwrap();
        let (process, address) = start(dir.path(), "client-burst = 1000");
        let before = resident(&process);
        let crowd = (0..EACH).map(|number| hoard(address, 1 + (number % hosts) as u8));
        let _crowd = join_all(crowd).await;
        println!("{hosts} hosts: {} KiB", peak(&process) - before);
        let held = peak(&process) - before;
        assert!(held < UNTAKEN, "{held} KiB of {hosts} hosts");
    }
}

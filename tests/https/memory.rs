//! What the program holds when clients come in numbers.

use std::fs;
use std::process::Command;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::clients::{One, tls};
use crate::crowds::{CROWD, raise_limit_of_descriptors};
use crate::gateway::files;
use crate::process::Process;

/// Most KiB for each connection, TLS included.
const MOST: u64 = 40;

type Client = One<TlsStream<TcpStream>>;

async fn ask(client: &mut Client) {
    client
        .send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
        .await;
    assert_eq!(client.hear().await.status, 200);
}

/// Resident memory in KiB.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn two_thousand_connections_over_tls_take_little_memory() {
    raise_limit_of_descriptors();
    let dir = tempfile::tempdir().unwrap();
    files(dir.path());
    let config = dir.path().join("gateway.toml");
    let text = r#"
        [gateway]
        listen = ["127.0.0.1:0"]
        certificate = "gateway.pem"
        key = "gateway-key.pem"
        client-requests-per-second = 0
        client-max-in-flight = 0
        [realms."EXAMPLE.COM"]
        kdcs = ["127.0.0.1:88"]
    "#;
    fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkdc"));
    command.args(["gateway", "--config"]).arg(&config);
    let process = Process::start("loopkdc gateway", &mut command, " ready ");
    let log = process.log();
    let mut words = log.split_whitespace();
    let address = words.find_map(|word| word.strip_prefix("https=")).unwrap();
    let address = address.parse().unwrap();
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

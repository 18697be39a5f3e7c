//! The lines of the access log, as requests from outside make them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use loopkdc::config::gateway::{AccessLogSettings, AccessLogTarget};
use loopkdc::gateway::access_log::AccessLog;
use tempfile::TempDir;

use crate::clients::{Http, One, Two, ask, post};
use crate::der::{field, integer, principal, sequence};
use crate::gateway::{ALIAS, Gateway, Setup, policies};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, USER, envelope, framed, req_body};
use crate::{PATIENCE, eventually};

/// A log in a folder of its own.
struct Log {
    log: AccessLog,
    path: PathBuf,
    folder: TempDir,
}

impl Log {
    fn new(change: impl FnOnce(&mut AccessLogSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut settings = AccessLogSettings {
            target: AccessLogTarget::File(path.clone()),
            lines_per_second: 1000,
            principals: false,
        };
        change(&mut settings);
        let log = AccessLog::open(settings).unwrap();
        Self { log, path, folder }
    }

    async fn gateway(&self, act: Act) -> Gateway {
        let setup = Setup {
            access_log: Some(self.log.clone()),
            ..Setup::kdc_that(act)
        };
        setup.start().await
    }

    /// Ends it, and says what it holds; the time and how long it took are taken out of each line.
    async fn lines(&self) -> Vec<String> {
        assert!(self.log.end(PATIENCE).await);
        lines(&self.path)
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            let digits = time.strip_prefix("time=20").unwrap().bytes();
            assert_eq!(digits.filter(u8::is_ascii_digit).count(), 15, "{line}");
            rest.split(' ')
                .filter(|part| !part.starts_with("ms="))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn plain(domain: &str) -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(domain))
}

#[tokio::test]
async fn each_request_has_its_line_over_each_http() {
    for http in Http::ALL {
        let log = Log::new(|_| ());
        let gateway = log.gateway(Act::Reply).await;
        let kdc = &gateway.kdc.address;
        for kind in [Kind::Plain, Kind::Tgs, Kind::Change] {
            let body = envelope(&framed(&kind.request(REALM).bytes), Some("example.com"));
            assert_eq!(post(&gateway, http, &body).await.status, 200);
        }
        ask(&gateway, http, "GET", "/healthz", b"").await;
        ask(&gateway, http, "GET", "/KdcProxy", b"").await;
        ask(&gateway, http, "POST", "/wp-login.php", b"a=b").await;
        post(&gateway, http, b"odd").await;
        post(&gateway, http, &plain("ELSEWHERE")).await;
        let seen = |what: &str| format!("client=127.0.0.1 {what}");
        let replied = |kind: &str| {
            seen(&format!(
                "kind={kind} realm=EXAMPLE.COM kdc={kdc} error=- status=200"
            ))
        };
        let refused = |status| seen(&format!("kind=- realm=- kdc=- error=- status={status}"));
        let expected = [
            replied("AS-REQ"),
            replied("TGS-REQ"),
            replied("kpasswd"),
            refused(405),
            refused(404),
            refused(400),
            seen("kind=AS-REQ realm=ELSEWHERE inside=EXAMPLE.COM kdc=- error=- status=404"),
        ];
        assert_eq!(log.lines().await, expected, "{http:?}");
    }
}

#[tokio::test]
async fn what_a_kdc_says_and_who_said_it_is_told_and_to_copies_too() {
    let log = Log::new(|_| ());
    let gateway = log.gateway(Act::Refuse(25)).await;
    let body = plain(REALM);
    post(&gateway, Http::One, &body).await;
    post(&gateway, Http::Two, &body).await;
    let kdc = &gateway.kdc.address;
    let line = |kdc: &str| {
        format!("client=127.0.0.1 kind=AS-REQ realm=EXAMPLE.COM kdc={kdc} error=25 status=200")
    };
    assert_eq!(log.lines().await, [line(kdc), line("cache")]);
}

#[tokio::test]
async fn what_is_not_valid_inside_is_known_by_its_kind() {
    let log = Log::new(|_| ());
    let gateway = log.gateway(Act::Reply).await;
    let mut request = Kind::Plain.request(REALM).bytes;
    // The number in pvno.
    request[10] ^= 1;
    let body = envelope(&framed(&request), Some(REALM));
    assert_eq!(post(&gateway, Http::One, &body).await.status, 400);
    let line = "client=127.0.0.1 kind=AS-REQ realm=EXAMPLE.COM kdc=- error=- status=400";
    assert_eq!(log.lines().await, [line]);
}

#[tokio::test]
async fn what_a_policy_refuses_is_told_by_its_key() {
    let log = Log::new(|_| ());
    let realm = format!("[realms.\"{REALM}\"]\nkdcs = [\"k\"]\ndeny-principals = [\"*\"]\n");
    let setup = Setup {
        access_log: Some(log.log.clone()),
        policies: policies(&realm),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    post(&gateway, Http::One, &plain(REALM)).await;
    let line = format!(
        "client=127.0.0.1 kind=AS-REQ realm={REALM} kdc=- error=12 policy=deny-principals status=200"
    );
    assert_eq!(log.lines().await, [line]);
}

#[tokio::test]
async fn another_realm_inside_than_the_one_asked_is_told() {
    let log = Log::new(|_| ());
    let gateway = log.gateway(Act::Reply).await;
    for (inside, domain, status) in [("OTHER.EXAMPLE", REALM, 403), (ALIAS, REALM, 200)] {
        let body = envelope(&framed(&Kind::Plain.request(inside).bytes), Some(domain));
        assert_eq!(post(&gateway, Http::One, &body).await.status, status);
    }
    let kdc = &gateway.kdc.address;
    let line = |inside: &str, kdc: &str, status: u16| {
        format!(
            "client=127.0.0.1 kind=AS-REQ realm={REALM}{inside} kdc={kdc} error=- status={status}"
        )
    };
    let expected = [line(" inside=OTHER.EXAMPLE", "-", 403), line("", kdc, 200)];
    assert_eq!(log.lines().await, expected);
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_its_answer_has_a_line() {
    let log = Log::new(|_| ());
    let gateway = log.gateway(Act::Silence).await;
    let mut two = Two::connect(&gateway).await;
    let request = Two::request("POST", "/KdcProxy");
    let (_, mut stream) = two.requests.send_request(request, false).unwrap();
    stream.send_data(plain(REALM).into(), true).unwrap();
    eventually(|| gateway.kdc.asked() == 1).await;
    stream.send_reset(h2::Reason::CANCEL);
    eventually(|| !lines(&log.path).is_empty()).await;
    let line = "client=127.0.0.1 kind=AS-REQ realm=EXAMPLE.COM kdc=- error=- status=-";
    assert_eq!(log.lines().await, [line]);
}

/// An AS-REQ of somebody with this name.
fn as_req_of(name: &[&str]) -> Vec<u8> {
    let body = req_body(&principal(name), &["krbtgt", REALM], REALM);
    let request = sequence(&[
        field(1, &integer(5)),
        field(2, &integer(10)),
        field(4, &body),
    ]);
    crate::der::application(10, &request)
}

#[tokio::test]
async fn a_principal_is_named_only_where_that_is_wanted() {
    for wanted in [false, true] {
        let log = Log::new(|settings| settings.principals = wanted);
        let gateway = log.gateway(Act::Reply).await;
        for kind in [Kind::Plain, Kind::Tgs, Kind::Change] {
            let body = envelope(&framed(&kind.request(REALM).bytes), Some(REALM));
            post(&gateway, Http::One, &body).await;
        }
        let lines = log.lines().await;
        let named = lines.iter().map(|line| line.contains(USER));
        assert_eq!(named.collect::<Vec<_>>(), [wanted, false, false]);
        let ends = format!(" principal={USER}");
        assert_eq!(lines[0].ends_with(&ends), wanted, "{lines:?}");
    }
}

#[tokio::test]
async fn what_clients_choose_forges_nothing() {
    let log = Log::new(|settings| settings.principals = true);
    let gateway = log.gateway(Act::Reply).await;
    // A realm may hold any of these but a line's end, with which it is none.
    let realm = r#"A" status=200 principal="root"#;
    let name = [
        "x\ntime=2026-01-01T00:00:00.000Z client=192.0.2.1 \r\u{1b}[2J\"=",
        "y\\",
    ];
    post(
        &gateway,
        Http::One,
        &envelope(&framed(&as_req_of(&name)), Some(realm)),
    )
    .await;
    let response = post(&gateway, Http::One, &plain("A\ntime=1")).await;
    assert_eq!(response.status, 400);
    // A name with spaces has no end that `lines` would find.
    assert!(log.log.end(PATIENCE).await);
    let text = std::fs::read_to_string(&log.path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        text.bytes()
            .all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet))
    );
    let forged = r#" kind=AS-REQ realm="A\" status=200 principal=\"root" inside=EXAMPLE.COM kdc=- error=- status=404 ms="#;
    assert!(lines[0].contains(forged), "{text}");
    let name = r#" principal="x\\ntime=2026-01-01T00:00:00.000Z client=192.0.2.1 \u000d\u001b[2J\"=/y\\\\""#;
    assert!(lines[0].ends_with(name), "{text}");
    assert!(lines[1].contains(" realm=- "), "{text}");
}

#[tokio::test]
async fn more_lines_than_a_second_may_have_are_counted_and_their_requests_answered() {
    let log = Log::new(|settings| settings.lines_per_second = 3);
    let gateway = log.gateway(Act::Reply).await;
    let mut one = One::plain(&gateway).await;
    for _ in 0..200 {
        one.send("GET / HTTP/1.1\r\nHost: g\r\n\r\n").await;
        assert_eq!(one.hear().await.status, 404);
    }
    let lines = log.lines().await;
    let told = lines
        .iter()
        .filter_map(|line| line.strip_prefix("left-out="));
    let told: Vec<usize> = told.map(|lines| lines.parse().unwrap()).collect();
    assert!(!told.is_empty());
    let written = lines.len() - told.len();
    assert_eq!(written + told.iter().sum::<usize>(), 200);
}

#[tokio::test]
async fn a_log_that_was_renamed_is_opened_anew_when_asked() {
    let log = Log::new(|_| ());
    let gateway = log.gateway(Act::Reply).await;
    let old = log.folder.path().join("access.log.1");
    let request = || ask(&gateway, Http::One, "GET", "/", b"");
    request().await;
    eventually(|| lines(&log.path).len() == 1).await;
    std::fs::rename(&log.path, &old).unwrap();
    request().await;
    eventually(|| lines(&old).len() == 2).await;
    log.log.reopen();
    request().await;
    assert_eq!(log.lines().await.len(), 1);
    assert_eq!(lines(&old).len(), 2);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_anew_stays_where_it_was() {
    let log = Log::new(|_| ());
    let gateway = log.gateway(Act::Reply).await;
    let old = log.folder.path().join("access.log.1");
    std::fs::rename(&log.path, &old).unwrap();
    std::fs::create_dir(&log.path).unwrap();
    log.log.reopen();
    ask(&gateway, Http::One, "GET", "/", b"").await;
    assert!(log.log.end(PATIENCE).await);
    assert_eq!(lines(&old).len(), 1);
}

#[tokio::test]
async fn a_disk_that_is_full_costs_no_request() {
    let log = Log::new(|settings| settings.target = AccessLogTarget::File("/dev/full".into()));
    let gateway = log.gateway(Act::Reply).await;
    for _ in 0..3 {
        assert_eq!(post(&gateway, Http::One, &plain(REALM)).await.status, 200);
    }
    assert!(log.log.end(PATIENCE).await);
    assert_eq!(log.log.left_out(), 3);
}

/// A disk that takes nothing and refuses nothing: a pipe that nobody reads.
#[tokio::test]
async fn a_disk_that_hangs_costs_no_request_and_bounds_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let log = Log::new(|settings| {
        settings.target = AccessLogTarget::File(path);
        settings.lines_per_second = 1_000_000;
    });
    let gateway = log.gateway(Act::Reply).await;
    let mut one = One::plain(&gateway).await;
    // What a pipe takes and what waits for it are some 2,000 lines.
    let mut asked = 0;
    while log.log.left_out() == 0 && asked < 20_000 {
        one.send("GET / HTTP/1.1\r\nHost: g\r\n\r\n").await;
        assert_eq!(one.hear().await.status, 404);
        asked += 1;
    }
    assert_ne!(log.log.left_out(), 0, "{asked} lines wait");
    assert!(
        !log.log.end(Duration::from_millis(10)).await,
        "it waits for the disk"
    );
    drop(reader);
}

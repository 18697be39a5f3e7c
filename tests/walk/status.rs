//! `loopkdc status` of a daemon whose upstreams do what a script says: each fault is named, and its hint leads on.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;
use std::{fs, io};

use futures_util::future::join_all;
use h2::Reason;
use loopkdc::relay::finding::Finding;
use loopkdc::wire::MAX_REPLY;
use serde_json::Value;

use crate::certificates::{Clients, Leaf};
use crate::daemon::{Daemon, PROGRAM};
use crate::forward::{Forward, Gate};
use crate::messages::{Kind, REALM, USER, krb_error_of};
use crate::relay::{Reached, Setup, Transport};
use crate::support::hints::assert_leads_on;
use crate::support::process::{PATIENCE, Process};
use crate::upstream::{Act, Door, Http, Page, Plan, Upstream};

/// What `loopkdc status` printed.
fn status(daemon: &Daemon, args: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    let socket = daemon.status_socket();
    command.arg("status").args(args).arg("--socket").arg(socket);
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// What `loopkdc status --json` printed.
pub fn document(daemon: &Daemon) -> Value {
    serde_json::from_str(&status(daemon, &["--json"])).unwrap()
}

/// The hints of a finding in one line.
fn advice(finding: &Value) -> String {
    let finding: Finding = serde_json::from_value(finding.clone()).unwrap();
    finding.advice()
}

/// A fault, in what words it is told, and what its hint speaks of.
struct Case {
    plan: Plan,
    what: &'static str,
    hint: &'static str,
}

fn case(plan: Plan, what: &'static str, hint: &'static str) -> Case {
    Case { plan, what, hint }
}

fn door(door: Door) -> Plan {
    Plan::granting().behind(move |_| door.clone())
}

fn page(page: Page) -> Plan {
    Plan::always(Act::Respond(page))
}

/// A status in no words but its own.
fn bare(status: u16) -> Page {
    let (headers, body) = (Vec::new(), Vec::new());
    Page {
        status,
        headers,
        body,
    }
}

/// And in these.
fn in_words(status: u16, words: &str) -> Page {
    let body = words.as_bytes().to_vec();
    let page = bare(status).with("content-type", "Text/Plain");
    Page { body, ..page }
}

fn cases() -> Vec<Case> {
    let wants = |scheme: &str| page(bare(401).with("www-authenticate", scheme));
    let browser = "open any page in a browser";
    vec![
        case(
            door(Door::ResetAtOnce),
            "cannot connect: ",
            "curl -v https://127.0.0.1:",
        ),
        case(
            door(Door::ResetInHandshake),
            "cannot connect: ",
            "curl -v https://127.0.0.1:",
        ),
        case(
            door(Door::Silent),
            "cannot connect: timed out",
            "curl -v https://127.0.0.1:",
        ),
        case(
            Plan::granting().showing(Leaf::WrongName),
            "made out to another name",
            "proxies",
        ),
        case(
            Plan::granting().showing(Leaf::Expired),
            "expired, or the clock",
            "timedatectl",
        ),
        case(
            Plan::granting().showing(Leaf::Untrusted),
            "signed by an unknown authority",
            "ca-file",
        ),
        case(
            Plan::granting().asking(Clients::MustHave),
            "asks for a TLS client certificate",
            "set client-certificate",
        ),
        case(
            Plan::always(Act::Reset),
            "the connection failed before the answer",
            "it may not know this realm",
        ),
        case(
            Plan::always(Act::Close),
            "the connection failed before the answer",
            "proxies",
        ),
        case(
            Plan::always(Act::Silence),
            "it took the request, and did not answer in time",
            "deadline-seconds",
        ),
        case(
            Plan::always(Act::Endless),
            "an oversized reply",
            "correct proxies",
        ),
        case(
            page(bare(400)),
            "cannot read the request (HTTP 400)",
            "proxies",
        ),
        case(
            wants("Negotiate"),
            "wants a Kerberos ticket",
            "auth = \"negotiate\"",
        ),
        case(
            wants("Bearer realm=\"x\""),
            "wants a token or a password",
            "bearer-token-file",
        ),
        case(
            page(in_words(401, "expired").with("www-authenticate", "Bearer")),
            "wants a token or a password (HTTP 401); in its own words: \"expired\"",
            "bearer-token-file",
        ),
        case(
            page(bare(401)),
            "to be shown who asks, in a way",
            "headers-file",
        ),
        case(page(bare(403)), "forbids this (HTTP 403)", "target-domain"),
        case(
            page(bare(403)),
            "forbids this (HTTP 403)",
            "User-Agent of other requests: headers",
        ),
        case(
            page(bare(404)),
            "no KDC proxy at this path, or does not serve this realm (HTTP 404)",
            "correct the path",
        ),
        case(
            page(bare(413)),
            "no requests of this length (HTTP 413)",
            "client_max_body_size 1m",
        ),
        case(
            page(bare(429)),
            "too many requests or wrong passwords from this address (HTTP 429)",
            "wait a minute",
        ),
        case(page(bare(500)), "it failed (HTTP 500)", "its log"),
        case(
            page(bare(503)),
            "it reaches no KDC, or does not serve this realm (HTTP 503)",
            "look after its KDCs",
        ),
        case(
            page(in_words(502, "closed till 6, see https://h/token\nforged")),
            "it reaches no KDC (HTTP 502); in its own words: \"closed till 6, see https://h\"",
            "look after its KDCs",
        ),
        case(
            page(Page::html(403)),
            "a web page came instead of an answer (HTTP 403)",
            "User-Agent of other requests: headers",
        ),
        case(
            page(Page::html(404)),
            "no KDC proxy at this path, or does not serve this realm (HTTP 404)",
            "ask who runs it whether it serves the realm",
        ),
        case(
            page(Page::html(502)),
            "a web page came instead of an answer (HTTP 502)",
            browser,
        ),
        case(
            page(Page::html(200)),
            "perhaps a captive portal: a web page",
            browser,
        ),
        case(
            page(Page::html(302).with("location", "http://10.0.0.1/")),
            "captive portal: a redirect",
            browser,
        ),
        case(
            page(Page::html(301).with("location", "/KdcProxy/")),
            "no KDC proxy: a redirect to another path",
            "it may lack a slash at its end",
        ),
        case(page(Page::html(511)), "captive portal: HTTP 511", browser),
        case(
            page(Page::kerberos(Vec::new())),
            "no KDC proxy: an empty answer",
            "correct proxies",
        ),
        case(
            page(Page::kerberos(b"0garbage".to_vec())),
            "no KDC proxy: no KDC-PROXY-MESSAGE",
            "correct proxies",
        ),
        case(
            page(Page::kerberos(vec![0x30; MAX_REPLY + 4096])),
            "an oversized reply",
            "correct proxies",
        ),
        case(
            Plan::new(|post| Act::Reply(krb_error_of(&post.target_domain().unwrap(), 29))),
            "not available: KDC_ERR_SVC_UNAVAILABLE (29)",
            "look after that KDC",
        ),
        case(
            Plan::always(Act::GoAwayBefore(Reason::NO_ERROR)).speaking(Http::Two),
            "it hands requests back unread (HTTP/2 GOAWAY)",
            "http-version = \"1.1\"",
        ),
        case(
            Plan::always(Act::ResetStream(Reason::REFUSED_STREAM)).speaking(Http::Two),
            "it refuses requests over HTTP/2 (REFUSED_STREAM)",
            "http-version = \"1.1\"",
        ),
        case(
            Plan::always(Act::Octets(b"SSH-2.0-elsewhere\r\n".to_vec())).speaking(Http::One),
            "the connection failed before the answer",
            "proxies",
        ),
    ]
}

/// A realm each.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_named_and_its_hint_leads_on() {
    let cases: Vec<_> = cases()
        .into_iter()
        .map(|case| (case.plan.start(), case.what, case.hint))
        .collect();
    let down = Plan::granting().start_down();
    let mut setup = Setup::by(&[&down]).deadline(1);
    let realm = |place: usize| format!("R{place}.EXAMPLE");
    for (place, (upstream, ..)) in cases.iter().enumerate() {
        setup = setup.realm(&realm(place), &[upstream], "");
    }
    let daemon = Daemon::start(setup);
    let asked = (0..cases.len())
        .map(realm)
        .chain([REALM.to_owned()])
        .map(|realm| {
            let (daemon, request) = (&daemon, Kind::Tgs.request(&realm));
            async move { drop(daemon.ask(Transport::Tcp, &request).await) }
        });
    join_all(asked).await;

    let (document, text) = (document(&daemon), status(&daemon, &[]));
    let expected = cases
        .iter()
        .map(|(upstream, what, hint)| (upstream, *what, *hint));
    let refused = (
        &down,
        "cannot connect: Connection refused",
        "proxies names the right port",
    );
    for (upstream, what, hint) in expected.chain([refused]) {
        assert_told(&document, upstream, what, hint);
        assert!(joined(&text).contains(what), "{what}: {text}");
    }
    for problem in document["problems"].as_array().unwrap() {
        assert_leads_on(&advice(problem));
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(document["network"]["captive_portal"].as_bool().unwrap());
    assert_eq!(
        document["exchanges"].as_array().unwrap().len(),
        cases.len() + 1
    );
    let (_, log) = daemon.terminate();
    assert!(log.contains("panicked: 0"), "{log}");
    let mut of_words = log.lines().filter(|line| line.contains("own words"));
    assert!(log.contains("own words"), "{log}");
    assert!(of_words.all(|line| line.contains(" DEBUG ")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_out_is_named() {
    let guarded = Forward::guarded("http", "jane:secret").await;
    let closed = Forward::http(|_| Gate::Refused(403)).await;
    let down = Plan::granting().start_down();
    let cases = [
        (guarded.url(), "wants user and password", "http-proxy"),
        (
            guarded.url_with("jane:s3cret"),
            "does not take the user and password that it was given",
            "correct them in http-proxy",
        ),
        (
            closed.url(),
            "does not connect to the KDC proxy",
            "have it allow connections to 127.0.0.1",
        ),
        (
            down.url().replace("https", "http").replace("/KdcProxy", ""),
            "cannot be connected to",
            "correct http-proxy",
        ),
    ];
    let upstreams = [(); 4].map(|()| Plan::granting().start());
    let mut setup = Setup::new();
    for (place, ((url, ..), upstream)) in cases.iter().zip(&upstreams).enumerate() {
        let line = format!("http-proxy = {url:?}");
        setup = setup.realm(&format!("R{place}.EXAMPLE"), &[upstream], &line);
    }
    // One that has nothing to show.
    let last = Plan::granting().start();
    fs::write(setup.dir().join("token"), "abc").unwrap();
    fs::set_permissions(setup.dir().join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let token = setup.dir().join("token");
    setup = setup.realm("R4.EXAMPLE", &[&last], "bearer-token-file = \"token\"");
    let daemon = Daemon::start(setup);
    fs::remove_file(token).unwrap();
    for place in 0..=cases.len() {
        let request = Kind::Tgs.request(&format!("R{place}.EXAMPLE"));
        daemon.ask(Transport::Tcp, &request).await;
    }
    let printed = status(&daemon, &["--json"]);
    assert!(
        !printed.contains("s3cret") && !printed.contains("jane"),
        "{printed}"
    );
    let document: Value = serde_json::from_str(&printed).unwrap();
    for ((_, what, hint), upstream) in cases.iter().zip(&upstreams) {
        assert_told(&document, upstream, what, hint);
    }
    assert_told(
        &document,
        &last,
        "the credential that it wants is not available",
        "journalctl -u loopkdc",
    );
    for problem in document["problems"].as_array().unwrap() {
        assert_leads_on(&advice(problem));
    }
}

/// A laptop away from the office.
#[tokio::test(flavor = "multi_thread")]
async fn kdcs_that_are_elsewhere_are_a_problem_only_if_nothing_else_serves() {
    let (proxy, kdc) = (Plan::granting().start(), Plan::granting().start_down());
    let direct = format!("direct = \"prefer\"\nkdcs = [\"{}\"]", kdc.address());
    let setup = Setup::new().realm(REALM, &[&proxy], &direct);
    let down = Plan::granting().start_down();
    let daemon = Daemon::start(setup.realm("DOWN.EXAMPLE", &[&down], &direct));
    daemon
        .ask(Transport::Tcp, &Kind::Tgs.request(REALM))
        .await
        .message();
    let shown = document(&daemon);
    let ways = &shown["realms"]
        .as_array()
        .unwrap()
        .iter()
        .find(|realm| realm["name"] == REALM)
        .unwrap()["kdc"];
    assert_eq!(
        (&ways[0]["state"], &ways[0]["direct"]),
        (&"active".into(), &false.into())
    );
    assert_eq!(ways[1]["direct"], true);
    assert!(
        ways[1]["fault"]["finding"]["what"]
            .as_str()
            .unwrap()
            .contains("cannot connect"),
        "{ways}"
    );
    assert_eq!(shown["problems"], Value::Array(Vec::new()));
    assert!(
        joined(&status(&daemon, &[])).contains("cannot connect: Connection refused"),
        "told, and no problem"
    );

    daemon
        .ask(Transport::Tcp, &Kind::Tgs.request("DOWN.EXAMPLE"))
        .await;
    let shown = document(&daemon);
    let problems = shown["problems"].as_array().unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| advice(problem).contains("kdcs")),
        "{problems:?}"
    );
    for problem in problems {
        assert_leads_on(&advice(problem));
    }
}

/// Asserts that the document has a problem of `upstream` in these words.
fn assert_told(document: &Value, upstream: &Upstream, what: &str, hint: &str) {
    let name = upstream.url().replace("/KdcProxy", "");
    let upstreams = document["upstreams"].as_array().unwrap();
    assert!(upstreams.iter().any(|upstream| upstream["name"] == *name));
    let problems = document["problems"].as_array().unwrap().iter();
    let of_it: Vec<_> = problems
        .filter(|problem| problem["subject"]["upstream"] == *name)
        .collect();
    let is_told = |problem: &&Value| {
        problem["what"].as_str().unwrap().contains(what) && advice(problem).contains(hint)
    };
    assert!(of_it.iter().any(is_told), "{what}, {hint}: {of_it:#?}");
}

/// The lines as one, as words that belong together may stand on two.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_at_work_shows_all_but_who_asks() {
    let upstream = Plan::granting().start();
    let secret = format!("{}/token-in-a-path?key=secret", upstream.url());
    let setup = Setup::new().realm_at(REALM, &[secret], "aliases = [\"CORP\"]");
    let daemon = Daemon::start(setup.realm("OTHER.EXAMPLE", &[&upstream], ""));
    for kind in Kind::ALL {
        daemon
            .ask(Transport::Udp, &kind.request(REALM))
            .await
            .message();
    }
    daemon
        .ask(Transport::Tcp, &Kind::Plain.request("NO\"WHERE"))
        .await;
    let again = Kind::Plain.request(REALM);
    let client = daemon.udp(again.service).await;
    for _ in 0..2 {
        client.send(&again.bytes).await;
        client.hear().await;
    }

    let printed = status(&daemon, &["--json"]);
    for secret in [USER, "token-in-a-path", "secret", "KdcProxy"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
    let shown: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&shown["schema"], &shown["pid"]),
        (&2.into(), &daemon.process.id().into())
    );
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    let listeners = shown["listeners"].as_array().unwrap();
    assert_eq!(listeners.len(), 4, "UDP and TCP of two services");
    assert!(
        listeners
            .iter()
            .all(|listener| listener["inherited"] == false)
    );
    let realm = &shown["realms"][0];
    assert_eq!(
        (&realm["name"], &realm["aliases"][0]),
        (&REALM.into(), &"CORP".into())
    );
    assert_eq!(realm["kdc"][0]["state"], "active");
    assert_eq!(
        shown["upstreams"].as_array().unwrap().len(),
        2,
        "another path is another proxy"
    );
    let latency = &shown["upstreams"][0]["latency"];
    assert_eq!(latency["answers"], Kind::ALL.len() + 1);
    assert!(latency["p50_ms"].as_f64() <= latency["p99_ms"].as_f64());
    let exchanges = shown["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), Kind::ALL.len() + 2, "a replay is none");
    assert_eq!(exchanges[1]["outcome"], "no-upstream");
    let counters = shown["counters"].as_array().unwrap();
    assert!(
        counters
            .iter()
            .all(|counter| counter["help"].as_str().unwrap().ends_with('.'))
    );
    let mut replayed = counters
        .iter()
        .filter(|counter| counter["name"] == "replayed");
    assert_eq!(replayed.next().unwrap()["value"], 1);
    let problem = &shown["problems"][0];
    assert_eq!(problem["subject"]["layer"], "configuration");
    let hint = advice(problem);
    assert!(hint.contains(r#"[realms."NO\"WHERE"]"#), "{problem}");
    assert_leads_on(&hint);
    assert!(status(&daemon, &[]).contains("● https://127.0.0.1"));

    let socket = daemon.status_socket();
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let (_, log) = daemon.terminate();
    assert_eq!(
        fs::metadata(&socket).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    let told = log
        .lines()
        .filter(|line| line.contains("status") && !line.contains("DEBUG"));
    assert_eq!(told.count(), 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_that_in_which_they_would_be_tried() {
    let (down, up) = (Plan::granting().start_down(), Plan::granting().start());
    let daemon = Daemon::start(Setup::by(&[&down, &up]));
    let states = |document: &Value| -> Vec<(String, String)> {
        let ways = document["realms"][0]["kdc"].as_array().unwrap().iter();
        let name = |way: &Value| {
            let place = way["upstream"].as_u64().unwrap() as usize;
            document["upstreams"][place]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        ways.map(|way| (name(way), way["state"].as_str().unwrap().to_owned()))
            .collect()
    };
    let name = |upstream: &Upstream| upstream.url().replace("/KdcProxy", "");
    let state = |upstream: &Upstream, state: &str| (name(upstream), state.to_owned());
    assert_eq!(
        states(&document(&daemon)),
        [state(&down, "untried"), state(&up, "untried")]
    );
    daemon
        .ask(Transport::Tcp, &Kind::Tgs.request(REALM))
        .await
        .message();
    let shown = document(&daemon);
    let after = states(&shown);
    assert_eq!(after[0], state(&up, "active"));
    // It may be its turn again by now.
    assert!(
        ["down", "failing"].contains(&after[1].1.as_str()),
        "{after:?}"
    );
    let problems = shown["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(status(&daemon, &[]).contains("1 problem"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_is_shown_without_what_is_written_there() {
    let upstream = Plan::granting().start();
    let daemon = Daemon::start(Setup::by(&[&upstream]));
    let good = fs::read_to_string(daemon.config()).unwrap();
    assert!(document(&daemon)["configuration"]["error"].is_null());
    let bad = good.replace("https://", "ftp://user:secret@host/hidden?");
    fs::write(daemon.config(), bad).unwrap();
    daemon.reload("the old configuration stays");
    let printed = status(&daemon, &["--json"]);
    for secret in ["secret", "hidden"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let shown: Value = serde_json::from_str(&printed).unwrap();
    let error = shown["configuration"]["error"].as_str().unwrap();
    assert!(error.contains("config.toml:"), "{error}");
    let hint = advice(&shown["problems"][0]);
    let check = format!(": loopkdc check --config {}", daemon.config().display());
    assert!(hint.ends_with(&check), "{hint}");
    assert_leads_on(&hint);

    fs::write(
        daemon.config(),
        good.replace("[listen]", "[listen]\nmax-connections = 7"),
    )
    .unwrap();
    daemon.reload("configuration read again");
    let shown = document(&daemon);
    assert!(shown["configuration"]["error"].is_null());
    assert_eq!(shown["configuration"]["restart_needed"], true);
    assert_eq!(advice(&shown["problems"][0]), "systemctl restart loopkdc");
    fs::write(daemon.config(), good).unwrap();
    daemon.reload("configuration read again");
    assert_eq!(document(&daemon)["configuration"]["restart_needed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_replaced_and_what_is_in_use_is_not() {
    let upstream = Plan::granting().start();
    let setup = || Setup::by(&[&upstream]);
    let mut first = setup();
    let socket = first.dir().join("own.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let line = format!("status-socket = {socket:?}\nstatus-mode = \"0600\"");
    first = first.listen(&line);
    let daemon = Daemon::start(first);
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = setup().listen(&line);
    let mut refused = Command::new(PROGRAM);
    let refused = refused
        .arg("run")
        .arg("--config")
        .arg(second.write())
        .output()
        .unwrap();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{stderr}");
    assert!(
        stderr.contains("another loopkdc may listen there"),
        "{stderr}"
    );

    // The usual place is no reason to serve nobody.
    let folder = socket.parent().unwrap().join("usual");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("status.sock"), "no socket").unwrap();
    let mut command = Command::new(PROGRAM);
    command.env("RUNTIME_DIRECTORY", &folder);
    let third = Daemon::start_with_environment(command, setup());
    third
        .ask(Transport::Udp, &Kind::Plain.request(REALM))
        .await
        .message();
    let (_, log) = third.terminate();
    assert_eq!(
        log.matches("the status can't be read: cannot listen on unix:")
            .count(),
        1,
        "{log}"
    );
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_readers_holds_up_no_request() {
    let upstream = Plan::granting().start();
    let daemon = Daemon::start(Setup::by(&[&upstream]));
    let socket = daemon.status_socket();
    let idle: Vec<_> = (0..200)
        .filter_map(|_| std::os::unix::net::UnixStream::connect(&socket).ok())
        .collect();
    daemon
        .ask(Transport::Udp, &Kind::Plain.request(REALM))
        .await
        .message();
    assert_eq!(document(&daemon)["realms"][0]["kdc"][0]["state"], "active");
    drop(idle);
    let (_, log) = daemon.terminate();
    assert!(log.lines().all(|line| !line.contains("WARN")), "{log}");
}

/// By script(1), which gives it a terminal of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_when_the_daemon_goes_away_and_ends_at_ctrl_c() {
    use std::io::{Read, Write};
    use std::process::Stdio;

    let upstream = Plan::granting().start();
    let daemon = Daemon::start(Setup::by(&[&upstream]));
    let watch = format!(
        "trap : INT; {PROGRAM} status --watch --socket {}; echo ended with $?",
        daemon.status_socket().display()
    );
    let mut script = Command::new("script");
    script
        .args(["-qefc", &watch, "/dev/null"])
        .env("TERM", "xterm");
    let mut script = script
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = script.stdout.take().unwrap();
    let mut keys = script.stdin.take().unwrap();
    // Ends it whatever becomes of the test.
    let mut script = Process::adopt("script", script);
    let mut seen = String::new();
    let patience = Instant::now() + PATIENCE;
    let mut until = |words: &str| {
        let mut chunk = [0; 4096];
        while !seen.contains(words) {
            let length = screen.read(&mut chunk).unwrap();
            let in_time = Instant::now() < patience;
            assert!(length > 0 && in_time, "{words:?} never came: {seen}");
            seen.push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
        std::mem::take(&mut seen)
    };
    until(REALM);
    drop(daemon.terminate());
    let told = until("this is from");
    assert!(told.contains("no daemon answers at"), "{told}");
    keys.write_all(b"\x03").unwrap();
    until("ended with 0");
    script.wait();
}

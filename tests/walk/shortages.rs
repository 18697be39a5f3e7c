//! A machine that lacks something: descriptors, memory, a clock that can be trusted, a name server that answers.
//! The program goes on, and all is well again when the lack is over.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use loopkdc::wire::{MAX_REQUEST, Service};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::clients::Heard;
use crate::daemon::{Daemon, PROGRAM};
use crate::messages::{Kind, REALM, framed, said, tgs_rep, tgs_req, told};
use crate::relay::{Reached, Setup, Transport};
use crate::support::clock::Clock;
use crate::support::nameserver::{NameServer, Record};
use crate::support::netns::{bind_over, isolated};
use crate::upstream::{Act, Http, Plan, Upstream};

/// KRB_ERR_RESPONSE_TOO_BIG: what a failure looks like over UDP.
const FAILED: i64 = 52;

/// Sets a limit of a process that runs.
fn limit(process: u32, limit: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={process}"))
        .arg(limit)
        .status();
    assert!(status.unwrap().success(), "{limit}");
}

/// A number of KiB, or of things, that the kernel knows of a process.
fn status(process: u32, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.unwrap().trim_start_matches(':').trim();
    number.trim_end_matches(" kB").parse().unwrap()
}

/// Asks by UDP, and says what came of it: nothing, or the code of the error.
async fn outcome(relay: &Daemon, kind: Kind) -> Result<(), i64> {
    let answer = relay
        .ask(Transport::Udp, &kind.request(REALM))
        .await
        .message();
    match answer[0] {
        0x7e => Err(said(&answer).code),
        tag => {
            assert_eq!(tag, kind.reply()[0]);
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_it_says_so_once_and_serves_again_when_there_are_some() {
    let upstream = Plan::granting().speaking(Http::One).start();
    let relay = Daemon::start(Setup::by(&[&upstream]));
    assert_eq!(outcome(&relay, Kind::Preauth).await, Ok(()));
    // The next request needs a connection of its own.
    upstream.hang_up().await;
    limit(relay.process.id(), "--nofile=3:");
    let asked = Instant::now();
    for kind in [Kind::Preauth, Kind::Plain] {
        assert_eq!(outcome(&relay, kind).await, Err(FAILED), "{kind:?}");
    }
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}, not at once");
    let mut waiting = relay.tcp(Service::Kdc).await;
    waiting.send(&Kind::Tgs.request(REALM).bytes).await;
    relay.process.wait_for("requests are kept waiting");
    // For as long as several rests take.
    while asked.elapsed() < Duration::from_secs(1) {
        assert_eq!(outcome(&relay, Kind::Preauth).await, Err(FAILED));
    }

    limit(relay.process.id(), "--nofile=1000:");
    assert_eq!(waiting.hear().await.message()[0], 0x6d);
    for kind in Kind::ALL {
        assert_eq!(outcome(&relay, kind).await, Ok(()), "{kind:?}");
    }
    relay.process.wait_for("requests are accepted again");
    assert_eq!(relay.process.count("requests are kept waiting"), 1);
}

/// What all local users together can make it hold: streams that stop short of the end of long requests, datagrams as long
/// as there are, and long answers to be kept. Its allocator ends the process when the kernel gives no more.
#[tokio::test(flavor = "multi_thread")]
async fn with_96_mib_for_its_data_it_outlasts_whoever_fills_what_can_be_filled() {
    const MORE: usize = 96 * 1024;
    let upstream = Plan::always(Act::Reply(tgs_rep())).start();
    let relay = Daemon::start(Setup::by(&[&upstream]));
    let id = relay.process.id();
    assert_eq!(outcome(&relay, Kind::Tgs).await, Ok(()));
    let before = status(id, "VmData");
    limit(id, &format!("--data={}", (before + MORE) * 1024));

    let mut long = tgs_req(REALM).bytes;
    long.resize(MAX_REQUEST, 0);
    let long = framed(&long);
    let mut crowd = Vec::new();
    for _ in 0..600 {
        let mut client = relay.tcp(Service::Kdc).await;
        // Who finds no room is reset.
        let _ = client.0.write_all(&long[..long.len() - 1]).await;
        crowd.push(client);
    }
    let datagrams = relay.udp(Service::Kdc).await;
    for _ in 0..600 {
        let mut request = tgs_req(REALM).bytes;
        request.resize(60_000, 0);
        datagrams.send(&request).await;
    }
    // A slow machine has the flood to work off first, and the kernel drops what comes while the socket's buffer is full.
    let asked = || timeout(Duration::from_secs(1), outcome(&relay, Kind::Tgs));
    crate::within(async { while !matches!(asked().await, Ok(Ok(()))) {} }).await;
    let most = (status(id, "VmData") - before) / 1024;
    eprintln!(
        "{most} MiB more than the {} MiB of one request",
        before / 1024
    );
    drop(crowd);
    assert_eq!(outcome(&relay, Kind::Tgs).await, Ok(()));
}

/// The program with this clock. What passes goes on as it does: a clock that is set is CLOCK_REALTIME alone.
fn with(clock: &Clock) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .envs(clock.environment())
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env_remove("JOURNAL_STREAM");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_and_forth_costs_no_request() {
    let upstream = Plan::granting().start();
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new(&dir.path().join("daemon"));
    let relay = Daemon::start_by(with(&clock), Setup::by(&[&upstream]));
    for (time, year) in [
        ("@2042-05-06 07:08:09", "2042-05-0"),
        ("@1984-05-06 07:08:09", "1984-05-0"),
        ("@2038-01-19 03:14:00", "2038-01-"),
        ("@2099-12-31 23:59:59", "2"),
        ("+0", "20"),
    ] {
        clock.set(time);
        upstream.hang_up().await;
        for kind in Kind::ALL {
            let asked = Instant::now();
            let request = kind.request(REALM);
            for transport in Transport::BOTH {
                let answer = relay.ask(transport, &request).await;
                assert_eq!(answer.message()[0], kind.reply()[0], "{kind:?} {time}");
            }
            assert!(asked.elapsed() < Duration::from_secs(3), "{kind:?} {time}");
        }
        // Its own errors say what time it is.
        let unknown = Kind::Plain.request("UNKNOWN.EXAMPLE");
        let answer = relay.ask(Transport::Udp, &unknown).await.message();
        assert_eq!(said(&answer).code, FAILED, "{time}");
        let log = relay.process.log();
        assert!(
            log.lines().any(|line| line.starts_with(year)),
            "{time}: {log}"
        );
    }
    assert_eq!(relay.process.count("proxy down"), 0);
}

/// Before the certificate's own time no proxy can be believed; that is told, and over when the clock is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_before_all_certificates_is_told_and_forgiven() {
    let upstream = Plan::granting().start();
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new(&dir.path().join("daemon"));
    clock.set("@1970-01-02 00:00:00");
    let relay = Daemon::start_by(with(&clock), Setup::by(&[&upstream]));
    assert_eq!(outcome(&relay, Kind::Preauth).await, Err(FAILED));
    let change = relay
        .ask(Transport::Tcp, &Kind::Change.request(REALM))
        .await;
    let change = told(&change.message());
    assert_eq!((change.result, change.code), (2, 86));
    relay
        .process
        .wait_for("not valid yet, or the clock here is wrong");
    clock.set("+0");
    assert_eq!(outcome(&relay, Kind::Preauth).await, Ok(()));
}

/// A fault of a library's, which no kernel brings about: before 1970 it doesn't know what time it is, and panics.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_exchange_alone_and_is_counted() {
    let upstream = Plan::granting().start();
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new(&dir.path().join("daemon"));
    let relay = Daemon::start_by(with(&clock), Setup::by(&[&upstream]));
    let mut kept = relay.tcp(Service::Kdc).await;
    clock.set("@1969-12-30 00:00:00");
    let request = Kind::Preauth.request(REALM);
    let asked = Instant::now();
    for transport in [Transport::Udp, Transport::Tcp] {
        match relay.ask(transport, &request).await {
            Heard::Message(message) => assert_eq!(said(&message).code, FAILED),
            heard => assert_eq!(heard, Heard::Reset),
        }
    }
    let change = relay
        .ask(Transport::Udp, &Kind::Change.request(REALM))
        .await;
    let change = told(&change.message());
    assert_eq!((change.result, change.code), (2, 86));
    assert!(
        change.words.contains("It is not known whether"),
        "{}",
        change.words
    );
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "nobody waits for it"
    );

    clock.set("+0");
    kept.send(&Kind::Tgs.request(REALM).bytes).await;
    assert_eq!(kept.hear().await.message()[0], 0x6d);
    for kind in Kind::ALL {
        assert_eq!(outcome(&relay, kind).await, Ok(()), "{kind:?}");
    }
    let (status, log) = relay.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(log.contains(" panicked: 2,"), "{log}");
    let told = log
        .lines()
        .filter(|line| line.contains("ERROR a fault of this program's own"));
    assert_eq!(told.count(), 2, "{log}");
    assert_eq!(upstream.posts(), 5, "nothing that was ended is sent again");
}

/// Realms whose proxies have names of their own, all of which lead to one upstream.
fn by_name(upstream: &Upstream, count: usize) -> Setup {
    (0..count).fold(Setup::new(), |setup, number| {
        let url = upstream
            .url()
            .replace("127.0.0.1", &format!("p{number}.proxy.test"));
        setup.realm_at(&format!("R{number}.EXAMPLE"), &[url], "")
    })
}

/// A resolver that hangs holds a thread for as long as it likes, and there are only so many of them.
#[test]
fn names_that_nobody_answers_for_cost_threads_within_bounds_and_no_request_its_answer() {
    const REALMS: usize = 150;
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let resolv_conf = dir.path().join("resolv.conf");
        fs::write(
            &resolv_conf,
            "nameserver 127.0.0.53\noptions timeout:2 attempts:1\n",
        )
        .unwrap();
        bind_over(&resolv_conf, Path::new("/etc/resolv.conf"));
        // The kernel's view of this namespace's processes.
        let proc = ["-t", "proc", "proc", "/proc"];
        assert!(Command::new("mount").args(proc).status().unwrap().success());
        let names = NameServer::start();
        names.is_silent_about("proxy.test");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(hang(&names, REALMS));
    });
}

async fn hang(names: &NameServer, realms: usize) {
    let upstream = Plan::granting().start();
    let setup = by_name(&upstream, realms).realm(REALM, &[&upstream], "");
    let relay = Daemon::start(setup);
    let requests: Vec<_> = (0..realms)
        .map(|number| Kind::ALL[number % 4].request(&format!("R{number}.EXAMPLE")))
        .collect();
    let asked = Instant::now();
    let answers = join_all(
        requests
            .iter()
            .map(|request| relay.ask(Transport::Tcp, request)),
    );
    // Meanwhile a realm whose proxy needs no name is served at once.
    let other = async {
        crate::eventually(|| names.queries().len() >= 64).await;
        let asked = Instant::now();
        let answer = relay.ask(Transport::Udp, &Kind::Tgs.request(REALM)).await;
        assert_eq!(answer.message()[0], 0x6d);
        assert!(asked.elapsed() < Duration::from_secs(1));
    };
    let mut most = 0;
    let watch = async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            most = most.max(status(relay.process.id(), "Threads"));
        }
    };
    let (answers, ()) = tokio::select! {
        done = join(answers, other) => done,
        () = watch => unreachable!(),
    };
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(9), "{took:?}");
    // In words on port 464, as a reset on port 88.
    assert!(answers.iter().all(|answer| match answer {
        Heard::Message(message) => told(message).code == 86,
        answer => *answer == Heard::Reset,
    }));
    // Two workers, the first thread, and those that are blocked.
    assert!((10..=64 + 3).contains(&most), "{most} threads");

    for number in 0..realms {
        let address = Record::A(Ipv4Addr::LOCALHOST);
        names.says(&format!("p{number}.proxy.test"), 60, &[address]);
    }
    names.speaks();
    let back = Instant::now();
    let mut failed = 0;
    for number in [realms - 1, 0, realms / 2] {
        failed += failures_before_success(&relay, &format!("R{number}.EXAMPLE")).await;
    }
    eprintln!(
        "{most} threads; all answered in {took:?}; served {:?} after the name server, {failed} failed until then",
        back.elapsed()
    );
}

/// How many requests for a realm fail before one does not: what was asked of the name server before is still waited for.
async fn failures_before_success(relay: &Daemon, realm: &str) -> usize {
    let mut failed = 0;
    crate::within(async {
        loop {
            let request = Kind::Tgs.request(realm);
            match relay.ask(Transport::Tcp, &request).await {
                Heard::Message(message) => return assert_eq!(message[0], 0x6d),
                _ => failed += 1,
            }
        }
    })
    .await;
    failed
}

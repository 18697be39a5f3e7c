//! What a terminal shows when all is well and when something is not, as packaging/doc/help-desk.md has it: real parts, and figures made round.
//!
//! `WRITE_TRANSCRIPT=1` writes it there.

use std::fs;
use std::net::SocketAddr;

use loopkdc::operate::doctor;
use loopkdc::operate::status::render::render;
use loopkdc::operate::terminal::WIDTH;
use loopkdc::relay::finding::{Figure, Finding};
use loopkdc::relay::status::StatusDocument;
use serde_json::{Value, json};

use crate::newcomer::{as_installed, logs_in};
use crate::scene::{REALM, Scene, alone};
use crate::support::authority::Authority;
use crate::support::marked::Marked;
use crate::support::nameserver::{NameServer, Record};
use crate::support::netns::isolated;
use crate::support::proxy::{KdcProxy, Maker, Place, Route};
use crate::support::realm::{Preauth, Realm};

const NAME: &str = "kdcproxy.example.com";

/// When all is written, in milliseconds since 1970.
const NOW: u64 = 1_000_000_000_000;

/// What the machine of somebody shows who has set all this up: the doctor's good and bad, and the status's.
fn transcripts() -> [String; 2] {
    let dir = tempfile::tempdir().unwrap();
    let names = NameServer::start();
    names.says(NAME, 3600, &[Record::A([127, 0, 0, 2].into())]);
    let realm = Realm::start(dir.path(), REALM, 88, Preauth::Spake);
    let authority = Authority::new();
    let listen = [SocketAddr::from(([127, 0, 0, 2], 443))];
    let place = Place {
        listen: &listen,
        name: NAME,
        authority: &authority,
    };
    let proxy = KdcProxy::at(
        Maker::Ours,
        &dir.path().join("proxy"),
        place,
        &[Route::to(&realm)],
    );
    as_installed(dir.path());
    let lines = "[libdefaults]\n default_realm = EXAMPLE.COM\n dns_canonicalize_hostname = false\n";
    fs::write("/etc/krb5.conf", lines).unwrap();

    let mut scene = Scene::bare();
    scene.reads_etc = true;
    authority.write(&scene.path("ca.pem"));
    let text = format!("[realms.\"{REALM}\"]\nproxies = [\"https://{NAME}\"]\n");
    fs::write(scene.config(), format!("{text}ca-file = \"ca.pem\"\n")).unwrap();
    let mut install = scene.command();
    install
        .args(["krb5-conf", "--install", "--config"])
        .arg(scene.config());
    assert!(install.output().unwrap().status.success());
    let scene = scene.with_daemon();

    let good = scene.doctor_here(&[]);
    good.finds_nothing();
    // Who forgets the authority is told so.
    fs::write(scene.config(), text).unwrap();
    let bad = scene.doctor_here(&[]);
    assert_eq!(bad.code, 16, "{bad:#?}");
    let doctor = [("0", &good), ("16", &bad)].map(|(code, found)| {
        let findings = found.findings.iter();
        let findings: Vec<_> = findings.map(|finding| round(&scene, finding)).collect();
        let text = doctor::text(&findings);
        let text = anstream::adapter::strip_str(&text);
        format!("$ loopkdc doctor; echo $?\n{text}{code}\n")
    });

    logs_in(&scene);
    let good = status(&scene);
    drop(proxy);
    scene.doctor_here(&[]);
    let bad = status(&scene);
    [doctor.join("\n"), [good, bad].join("\n")]
}

/// What the daemon says of itself, with what differs from run to run made equal.
fn status(scene: &Scene) -> String {
    let told = scene.command().args(["status", "--json"]).output().unwrap();
    let text = scene.usual(&String::from_utf8(told.stdout).unwrap());
    let mut told: Value = serde_json::from_str(&text).unwrap();
    made_equal(&mut told);
    let document: StatusDocument = serde_json::from_value(told).unwrap();
    assert_eq!(document.schema, loopkdc::relay::status::SCHEMA);
    let text = render(&document, WIDTH);
    let text = anstream::adapter::strip_str(&text);
    format!("$ loopkdc status\n{text}")
}

fn made_equal(told: &mut Value) {
    match told {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "pid" => *value = json!(512),
                    "uptime_seconds" => *value = json!(11_520),
                    "written_at" => *value = json!(NOW),
                    "started_at" | "read_at" => *value = json!(NOW - 11_520_000),
                    "retry_at" if !value.is_null() => *value = json!(NOW + 1000),
                    "failures" if *value != 0 => *value = json!(1),
                    "took_ms" | "p50_ms" | "p90_ms" | "p99_ms" if !value.is_null() => {
                        *value = json!(20);
                    }
                    "answers" if *value != 0 => *value = json!(12),
                    "counters" => *value = told_counters(value),
                    "network" => value["changes"] = json!(0),
                    "exchanges" => few(value),
                    _ if name.ends_with("_at") && !value.is_null() => *value = json!(NOW - 3000),
                    _ => made_equal(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(made_equal),
        _ => {}
    }
}

/// Those that are the same each time.
fn told_counters(counters: &Value) -> Value {
    let told = counters.as_array().unwrap().iter().cloned();
    let told = told.filter_map(|mut counter| {
        counter["value"] = match counter["name"].as_str().unwrap() {
            "replied" => json!(12),
            "failed" => json!(counter["value"].as_u64().unwrap().min(1)),
            _ => return None,
        };
        Some(counter)
    });
    told.collect()
}

/// The last ones, which are the same each time, whatever was asked twice.
fn few(exchanges: &mut Value) {
    let exchanges = exchanges.as_array_mut().unwrap();
    exchanges.truncate(3);
    exchanges.iter_mut().for_each(made_equal);
}

/// The finding with what differs from run to run made equal.
fn round(scene: &Scene, finding: &Finding) -> Finding {
    let text = scene.usual(&serde_json::to_string(finding).unwrap());
    let mut finding: Finding = serde_json::from_str(&text).unwrap();
    finding.figure = finding.figure.map(|figure| match figure {
        Figure::Milliseconds(_) => Figure::Milliseconds(20.0),
        Figure::Days(_) => Figure::Days(60),
        other => other,
    });
    let what = finding.what.replace("127.0.0.2", "192.0.2.7");
    let words: Vec<&str> = what.split(' ').collect();
    let word = |(index, word): (usize, &&str)| match (words.get(index + 1), word.parse::<u32>()) {
        (Some(&"ms"), Ok(_)) => "20".to_owned(),
        _ if index > 0 && words[index - 1] == "process" => "512".to_owned(),
        _ => (*word).to_owned(),
    };
    finding.what = words
        .iter()
        .enumerate()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ");
    finding
}

#[test]
fn is_current() {
    isolated(|| {
        alone(|| {
            for (what, made) in ["doctor", "status"].into_iter().zip(transcripts()) {
                let marks = [
                    format!("<!-- {what}: begin -->\n```\n"),
                    format!("```\n<!-- {what}: end -->"),
                ];
                let part = Marked {
                    file: "packaging/doc/help-desk.md",
                    marks: marks.each_ref().map(String::as_str),
                    write: "WRITE_TRANSCRIPT",
                    command: "cargo nextest run --test doctor transcript",
                };
                part.is(&made);
            }
        });
    });
}

//! What a terminal shows when all is well and when something is not, as the README has it: real parts, and figures made round.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use loopkdc::doctor::{self, Figure, Line};

use crate::newcomer::as_installed;
use crate::scene::{REALM, Scene, alone};
use crate::support::authority::Authority;
use crate::support::nameserver::{NameServer, Record};
use crate::support::netns::isolated;
use crate::support::proxy::{KdcProxy, Maker, Place, Route};
use crate::support::realm::{Preauth, Realm};

const NAME: &str = "kdcproxy.example.com";
const WRITE: &str = "WRITE_TRANSCRIPT";

/// The machine of somebody who has set all this up.
fn transcript() -> String {
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
    let _proxy = KdcProxy::at(
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
    [("0", good), ("16", bad)]
        .map(|(code, found)| {
            let lines: Vec<_> = found.lines.iter().map(|line| round(&scene, line)).collect();
            format!(
                "$ loopkdc doctor; echo $?\n{}{code}\n",
                doctor::text(&lines)
            )
        })
        .join("\n")
}

/// The line with what differs from run to run made equal.
fn round(scene: &Scene, line: &serde_json::Value) -> Line {
    let mut line: Line = serde_json::from_value(line.clone()).unwrap();
    line.figure = line.figure.map(|figure| match figure {
        Figure::Milliseconds(_) => Figure::Milliseconds(20.0),
        Figure::Days(_) => Figure::Days(60),
        other => other,
    });
    let what = scene.usual(&line.what).replace("127.0.0.2", "192.0.2.7");
    let words: Vec<&str> = what.split(' ').collect();
    let word = |(index, word): (usize, &&str)| match (words.get(index + 1), word.parse::<u32>()) {
        (Some(&"ms"), Ok(_)) => "20".to_owned(),
        _ if index > 0 && words[index - 1] == "process" => "512".to_owned(),
        _ => (*word).to_owned(),
    };
    line.what = words
        .iter()
        .enumerate()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ");
    line.hint = line.hint.map(|hint| scene.usual(&hint));
    line
}

#[test]
fn is_current() {
    isolated(|| {
        alone(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let (file, made) = (root.join("tests/doctor/transcript.txt"), transcript());
            if std::env::var_os(WRITE).is_some() {
                fs::write(&file, &made).unwrap();
            }
            let written = fs::read_to_string(&file).unwrap_or_default();
            let how = format!("to write it: {WRITE}=1 cargo nextest run --test doctor transcript");
            assert_eq!(written, made, "{how}");
            let readme = fs::read_to_string(root.join("README.md")).unwrap();
            let is_shown = readme.contains(&written);
            assert!(
                is_shown || !readme.contains("$ loopkdc doctor"),
                "README.md has another: {how}"
            );
        });
    });
}

//! `loopkdc status --gateway`, of a gateway with a real KDC.

use std::fs;
use std::path::Path;
use std::process::Command;

use loopkdc::relay::status::{CandidateState, DaemonKind, StatusDocument};
use tempfile::tempdir;

use crate::health::{GATEWAY, log_in};
use crate::messages::REALM;
use crate::support::hints::assert_finding_leads_on;
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::realm::{Preauth, Realm};

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkdc");

/// What it prints.
fn status(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(["status", "--gateway"]).args(args);
    command.env("XDG_RUNTIME_DIR", dir).env("LC_ALL", "C.UTF-8");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn document(dir: &Path) -> StatusDocument {
    serde_json::from_str(&status(dir, &["--json"])).unwrap()
}

/// The problem in which `words` stand, whose hints lead on.
fn problem(document: &StatusDocument, words: &str) -> String {
    let mut problems = document.problems.iter();
    let found = problems.find(|problem| problem.what.contains(words));
    let found = found.unwrap_or_else(|| panic!("no {words:?} in {:?}", document.problems));
    assert_finding_leads_on(found);
    found.advice()
}

#[test]
fn a_gateway_says_how_it_is() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let mut realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let file = dir.path().join("gateway.toml");
        let text = format!(
            "[gateway]\nlisten = []\nplain-listen = [\"{GATEWAY}\"]\nmetrics-listen = \"127.0.0.1:9464\"\n\
             [realms.\"{REALM}\"]\nkdcs = [\"127.0.0.88\"]\nservices = [\"kdc\"]\n"
        );
        fs::write(&file, &text).unwrap();
        let folder = dir.path().join("loopkdc-gateway");
        fs::create_dir(&folder).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["gateway", "--config"]).arg(&file);
        command.env("RUNTIME_DIRECTORY", &folder);
        let gateway = Process::start("loopkdc gateway", &mut command, "ready");
        assert_eq!(log_in(), 200);
        let shown = status(dir.path(), &[]);
        for words in [
            "loopkdc gateway ",
            "http           tcp 127.0.0.1:8080\n",
            "metrics        tcp 127.0.0.1:9464\n",
            "https          not offered\n",
            "certificate    none\n",
            "● 127.0.0.88:88  active",
            "AS-REQ  EXAMPLE.COM  http",
        ] {
            assert!(shown.contains(words), "{words:?}: {shown}");
        }
        let said = document(dir.path());
        assert_eq!(said.daemon, DaemonKind::Gateway);
        assert_eq!(said.problems, []);
        assert!(
            said.counters
                .iter()
                .any(|counter| counter.name.as_str() == "throttled")
        );

        realm.kdc.terminate();
        assert_eq!(log_in(), 502);
        let said = document(dir.path());
        assert_ne!(said.realms[0].kdc[0].state, CandidateState::Active);
        let advice = problem(&said, "cannot connect: Connection refused");
        assert!(advice.contains("kdcs"), "{advice}");
        let hint = "loopkdc doctor --gateway EXAMPLE.COM";
        assert!(status(dir.path(), &[]).contains(hint));

        fs::write(&file, text.replace("[\"127.0.0.88\"]", "[]")).unwrap();
        gateway.signal("HUP");
        gateway.wait_for("the old configuration stays");
        let advice = problem(
            &document(dir.path()),
            "the configuration is invalid, and the last good one",
        );
        let mend = "systemctl reload loopkdc-gateway";
        assert!(advice.contains(mend), "{advice}");
        fs::write(&file, text.replace("9464", "9465")).unwrap();
        gateway.signal("HUP");
        gateway.wait_for("configuration read again");
        let said = document(dir.path());
        let what = "[gateway] was changed, which takes effect after a restart";
        assert_eq!(problem(&said, what), "systemctl restart loopkdc-gateway");
        assert_eq!(said.configuration.error, None);
    });
}

#[test]
fn without_a_gateway_it_says_how_to_start_one() {
    let dir = tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["status", "--gateway", "--socket"]);
    let output = command
        .arg(dir.path().join("status.sock"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("no daemon answers at "), "{told}");
    let units = told.contains("systemctl status loopkdc-gateway.socket loopkdc-gateway");
    assert_eq!(units, Path::new("/run/systemd/system").exists(), "{told}");
    assert!(told.contains("loopkdc gateway"), "{told}");
}

//! However it is with the network, the doctor comes back.

use std::process::Command;
use std::time::Duration;

use loopkdc::relay::finding::{Finding, Severity};

use crate::patience::within;
use crate::scene::Scene;
use crate::upstream::{Act, Door, Plan, Upstream};

/// Five seconds, and the deadline of two.
const LIMIT: Duration = Duration::from_secs(7);
/// To start a process on a loaded machine.
const SLACK: Duration = Duration::from_secs(3);

fn silent() -> Vec<Upstream> {
    let doors = |door: Door| Plan::granting().behind(move |_| door.clone());
    let plans = [
        doors(Door::Silent),
        Plan::always(Act::Silence),
        Plan::always(Act::Freeze),
        Plan::always(Act::Endless),
    ];
    plans.into_iter().map(Plan::start).collect()
}

/// All kinds of silence at once cost what one costs.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_bounded() {
    let upstreams = silent();
    let urls: Vec<_> = upstreams.iter().map(Upstream::url).collect();
    let scene = Scene::with(&urls, "").with_daemon();
    let found = within(async { scene.diagnose() }).await;
    assert!(found.took < LIMIT + SLACK, "{:?}", found.took);
    for url in &urls {
        let name = url.trim_end_matches("/KdcProxy");
        let is_about = |finding: &&Finding| finding.subject.upstream.as_deref() == Some(name);
        let mut about = found.findings.iter().filter(is_about);
        assert!(
            about.any(|finding| finding.severity == Severity::Fault),
            "{name}: {found:#?}"
        );
    }
}

/// What the doctor writes on a terminal.
fn on_a_terminal(scene: &Scene, words: &str) -> String {
    let config = scene.config();
    let doctor = format!("loopkdc doctor {words} --config {}", config.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--command", &doctor, "/dev/null"]);
    scene.surround(&mut script);
    String::from_utf8(script.output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_what_is_waited_for_until_it_is_there() {
    let upstream = Plan::always(Act::Silence).start();
    let scene = Scene::with(&[upstream.url()], "").with_daemon();
    let waiting = "waiting for the lines of EXAMPLE.COM, for up to ";
    let (shown, json) = tokio::task::block_in_place(|| {
        assert!(!scene.text().contains("waiting for"));
        (on_a_terminal(&scene, ""), on_a_terminal(&scene, "--json"))
    });
    let (_, then) = shown.split_once(waiting).expect(&shown);
    let (limit, then) = then.split_once(" s\r").expect(&shown);
    assert!((1..=7).contains(&limit.parse().unwrap()), "{limit}");
    // It is written over before anything else is written.
    let (blank, _) = then.split_once('\r').expect(&shown);
    let length = waiting.len() + limit.len() + " s".len();
    assert_eq!(blank, " ".repeat(length), "{shown}");
    assert!(!json.contains("waiting for"), "{json}");
}

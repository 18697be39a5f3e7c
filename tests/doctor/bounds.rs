//! However it is with the network, the doctor comes back.

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

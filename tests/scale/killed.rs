//! A gateway that is gone from one moment to the next.

use crate::load::{AT_ONCE, Load, ONCE};
use crate::messages::Kind;
use crate::office::{Office, requests};
use crate::support::netns::isolated;

/// All that was under way there has left, and may have been seen: what a copy does no harm to is asked again, the rest gets
/// the verdict. Whatever comes later is served by the other one, and by the first again once it is back.
#[test]
fn what_is_under_way_is_asked_again_or_told_and_nothing_else_is_lost() {
    isolated(|| {
        let mut office = Office::open();
        office.log_in();
        let load = Load::start();
        load.goes_on(100);
        let serving = office.serving();

        office.recorder.hold(AT_ONCE);
        office.gateways[serving].process.signal("KILL");
        office.gateways[serving].process.wait();
        office.recorder.release();
        load.goes_on(500);
        assert!(requests(&office.gateways[1 - serving]) > 0);

        office.start_again(serving);
        load.goes_on(500);
        assert!(requests(&office.gateways[serving]) > 0);
        office.log_in();
        let lost = office.judge(load);
        assert!(lost.iter().all(|kind| *kind == Kind::Preauth), "{lost:?}");
        // One more of each thread may have met a connection whose end HAProxy had not yet heard of.
        assert!((ONCE..=2 * ONCE).contains(&lost.len()), "{lost:?}");
    });
}

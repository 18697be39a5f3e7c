//! A gateway that is told to stop.

use crate::load::{AT_ONCE, Load};
use crate::office::{Office, requests};
use crate::support::netns::isolated;

/// It answers what is under way, tells HAProxy over the connections that stand that they end, and where HAProxy asks for its health
/// that it gets no new ones.
#[test]
fn nothing_is_lost() {
    isolated(|| {
        let mut office = Office::open();
        office.log_in();
        let load = Load::start();
        load.goes_on(100);
        let serving = office.serving();

        office.recorder.hold(AT_ONCE);
        office.gateways[serving].process.signal("TERM");
        let down = format!("Server gateways/gateway{} is DOWN", serving + 1);
        office.haproxy.wait_for(&down);
        office.recorder.release();
        let ended = office.gateways[serving].process.wait();
        assert!(ended.success());
        office.gateways[serving].process.wait_for("stopped");
        load.goes_on(500);
        assert!(requests(&office.gateways[1 - serving]) > 0);

        office.start_again(serving);
        load.goes_on(500);
        assert!(requests(&office.gateways[serving]) > 0);
        assert_eq!(office.judge(load), []);
    });
}

//! A gateway that takes connections and does nothing.

use crate::load::{AT_ONCE, Load};
use crate::office::{Office, requests};
use crate::support::netns::isolated;

/// What is under way waits there until its deadline, or until the gateway goes on: HAProxy, to which the connection is, shows life for
/// both, and nobody who is slow is asked twice. HAProxy finds out before that, so that nothing that comes later is lost.
#[test]
fn what_is_under_way_waits_there_and_nothing_else_is_lost() {
    isolated(|| {
        let mut office = Office::open();
        office.log_in();
        let load = Load::start();
        load.goes_on(100);
        let serving = office.serving();
        let server = format!("Server gateways/gateway{}", serving + 1);

        office.recorder.hold(AT_ONCE);
        office.gateways[serving].process.signal("STOP");
        office.recorder.release();
        office.haproxy.wait_for(&format!("{server} is DOWN"));
        load.goes_on(300);
        assert!(requests(&office.gateways[1 - serving]) > 0);

        let before = requests(&office.gateways[serving]);
        office.gateways[serving].process.signal("CONT");
        office.haproxy.wait_for(&format!("{server} is UP"));
        load.goes_on(300);
        assert!(requests(&office.gateways[serving]) > before);
        let lost = office.judge(load);
        assert!(lost.len() <= AT_ONCE, "{lost:?}");
    });
}

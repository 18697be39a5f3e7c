//! A gateway that takes connections and does nothing.

use crate::load::{AT_ONCE, Load, ONCE};
use crate::office::{Office, requests};
use crate::support::netns::isolated;

/// HAProxy finds out before the laptop's patience ends: what may be asked again is asked at the other one.
#[test]
fn what_waits_there_is_asked_again_in_time_or_told() {
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
        assert!((ONCE..=2 * ONCE).contains(&lost), "{lost}");
    });
}

//! A gateway that takes connections and does nothing.

use crate::load::{AT_ONCE, Load, ONCE};
use crate::messages::Kind;
use crate::office::{Office, requests};
use crate::support::netns::isolated;

/// What is harmless goes over a fresh connection to another one as soon as its answer is late; what must not be sent twice waits
/// until its deadline, or until the gateway goes on. HAProxy finds out before that, so that nothing that comes later is lost.
#[test]
fn what_waits_there_goes_elsewhere_or_waits_and_nothing_else_is_lost() {
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
        assert!(lost.len() <= ONCE, "{lost:?}");
        assert!(lost.iter().all(|kind| *kind == Kind::Preauth), "{lost:?}");
    });
}

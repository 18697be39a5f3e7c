//! KDCs that DNS names, and that are asked themselves where they can be reached.

use std::time::Duration;

use loopkdc::relay::upstream::kdc::LOCAL_KDC_TIMEOUT;

use crate::scene::{HOST, LONG, LOOPBACK, Scene, at, change_network, slow, ways_to};
use crate::support::nameserver::Record;
use crate::support::netns::isolated;
use crate::support::trap::Trap;

const PREFER: &str = "proxies = [\"https://proxy.test\"]\ndirect = \"prefer\"\ndiscover = true\n";
const RECORDS: [&str; 6] = [
    "_kerberos-master._tcp.EXAMPLE.COM",
    "_kerberos-master._udp.EXAMPLE.COM",
    "_kerberos._tcp.EXAMPLE.COM",
    "_kerberos._udp.EXAMPLE.COM",
    "_kpasswd._tcp.EXAMPLE.COM",
    "_kpasswd._udp.EXAMPLE.COM",
];

fn prefer() -> String {
    format!("{PREFER}{LOOPBACK}")
}

/// The service records that were asked for.
fn asked(scene: &Scene) -> Vec<String> {
    let mut asked = scene.names.queries();
    asked.retain(|name| name.starts_with('_'));
    asked.sort();
    asked
}

#[test]
fn kdcs_are_looked_up_when_a_request_comes_and_once() {
    isolated(|| {
        let scene = Scene::new();
        scene.lead_to_kdcs(&["dc1.test"]);
        let proxy = scene.proxy("proxy.test", 2);
        let _loopkdc = scene.loopkdc(&prefer());
        assert_eq!(asked(&scene), [""; 0], "nobody has asked for anything");
        scene.uses_all();
        proxy.was_asked(0);
        assert_eq!(asked(&scene), RECORDS);
    });
}

#[test]
fn the_primary_kdc_is_told_by_records_of_its_own() {
    isolated(|| {
        let scene = Scene::new();
        scene.names.says("dc2.test", LONG, &[at(HOST)]);
        scene.lead_to_kdcs(&["dc2.test"]);
        let named = [Record::Srv(0, 88, "dc1.test")];
        scene
            .names
            .says("_kerberos-master._tcp.EXAMPLE.COM", LONG, &named);
        let loopkdc = scene.loopkdc(&prefer());
        scene.kinit().succeeds();
        let ways = [
            ("dc2.test:88".to_owned(), false),
            ("dc1.test:88".to_owned(), true),
            ("https://proxy.test".to_owned(), false),
        ];
        assert_eq!(ways_to(&loopkdc, "kdc"), ways);
    });
}

/// From home to the office and back: what one network says of KDCs is forgotten on the next.
#[test]
fn each_network_has_its_own_kdcs_or_none() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", 2);
        let loopkdc = scene.loopkdc(&prefer());
        scene.kinit().succeeds();
        scene.kinit().succeeds();
        proxy.was_asked(4);
        assert_eq!(asked(&scene), RECORDS);

        scene.lead_to_kdcs(&["dc1.test"]);
        change_network(&loopkdc);
        scene.kinit().succeeds();
        proxy.was_asked(4);

        for name in RECORDS {
            scene.names.forgets(name);
        }
        change_network(&loopkdc);
        scene.kinit().succeeds();
        proxy.was_asked(6);
        assert_eq!(scene.names.count("_kerberos._tcp"), 3);
    });
}

#[test]
fn a_name_server_that_is_silent_costs_a_moment_once() {
    isolated(|| {
        let scene = Scene::new();
        scene.names.is_silent_about("example.com");
        let proxy = scene.proxy("proxy.test", 2);
        let loopkdc = scene.loopkdc(&prefer());
        let first = scene.kinit().succeeds().took;
        let second = scene.kinit().succeeds().took;
        proxy.was_asked(4);
        eprintln!("the first kinit took {first:?}, the second {second:?}");
        let least = LOCAL_KDC_TIMEOUT..LOCAL_KDC_TIMEOUT + Duration::from_secs(2);
        assert!(least.contains(&first), "{first:?}");
        assert_eq!(slow(&loopkdc), 1);
    });
}

/// Other services, this machine, and names that lead to it.
#[test]
fn a_zone_leads_to_no_other_service_and_not_to_this_machine() {
    isolated(|| {
        let scene = Scene::new();
        let traps = [Trap::at(9, 88), Trap::at(9, 464), Trap::at(9, 389)];
        scene.names.says("trap.test", 60, &[at(9)]);
        scene.lead_to_kdcs(&["trap.test"]);
        let records = [Record::Srv(0, 389, "trap.test")];
        scene.names.says("_kerberos._udp.EXAMPLE.COM", 60, &records);
        let proxy = scene.proxy("proxy.test", 2);
        let loopkdc = scene.loopkdc(PREFER);
        scene.uses_all();
        proxy.was_asked(6);
        for trap in traps {
            trap.is_untouched();
        }
        let refused = "its port is not among discover-ports";
        loopkdc.process.wait_for(refused);
        loopkdc.process.wait_for("is refused: loopback");
    });
}

//! Proxies that DNS names.

use std::fs;
use std::time::{Duration, Instant};

use crate::scene::{
    FIRST, LONG, LOOPBACK, SECOND, Scene, change_network, reconfigure, uri, wake_ups, ways_to,
};
use crate::support::hints::assert_finding_leads_on;
use crate::support::nameserver::Record;
use crate::support::netns::isolated;

/// A look-up is done for no less than this, whatever the zone says.
const SHORTEST: Duration = Duration::from_secs(30);
const URI: &str = "_kerberos.EXAMPLE.COM";

fn discover() -> String {
    format!("proxies = \"discover\"\n{LOOPBACK}")
}

#[test]
fn proxies_are_found_by_uri_records_and_asked_for_once() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        scene.lead(
            LONG,
            &[
                (10, "https://proxy.test/KdcProxy"),
                (20, "https://second.test"),
            ],
        );
        let loopkdc = scene.loopkdc(&discover());
        assert_eq!(
            scene.names.queries(),
            [""; 0],
            "nobody has asked for anything"
        );
        scene.uses_all();
        proxy.was_asked(6);
        let mut asked = scene.names.queries();
        asked.retain(|name| name.starts_with('_'));
        asked.sort();
        let once = [URI, "_kerberos._https.EXAMPLE.COM", "_kpasswd.EXAMPLE.COM"];
        assert_eq!(asked, once);
        let told =
            "KDC proxies found in DNS realm=EXAMPLE.COM kdc=https://proxy.test,https://second.test";
        loopkdc.process.wait_for(told);
    });
}

#[test]
fn passwords_go_to_the_proxy_that_is_named_for_them() {
    isolated(|| {
        let scene = Scene::new();
        let (first, second) = (
            scene.proxy("proxy.test", FIRST),
            scene.proxy("second.test", SECOND),
        );
        scene.lead(LONG, &[(10, "https://proxy.test")]);
        let passwords = [uri(10, "https://second.test")];
        scene.names.says("_kpasswd.EXAMPLE.COM", LONG, &passwords);
        let _loopkdc = scene.loopkdc(&discover());
        scene.uses_all();
        first.was_asked(5);
        second.was_asked(1);
    });
}

/// By the zone, and after a restart where nobody knows the zone.
#[test]
fn the_proxy_of_the_primary_kdc_is_known() {
    isolated(|| {
        let scene = Scene::new();
        let (first, second) = (
            scene.proxy("proxy.test", FIRST),
            scene.proxy("second.test", SECOND),
        );
        let flagged = "krb5srv:m:kkdcp:https://second.test".to_owned();
        let records = [uri(10, "https://proxy.test"), Record::Uri(20, flagged)];
        scene.names.says(URI, LONG, &records);
        let mut loopkdc = scene.loopkdc(&discover());
        scene.uses_all();
        first.was_asked(5);
        second.was_asked(1);
        let [plain, primary] = [
            ("https://proxy.test".to_owned(), false),
            ("https://second.test".to_owned(), true),
        ];
        let logins = [plain.clone(), primary.clone()];
        assert_eq!(ways_to(&loopkdc, "kdc"), logins);
        assert_eq!(ways_to(&loopkdc, "kpasswd"), [primary, plain]);
        loopkdc.process.wait_for("kept for the next start");
        assert!(loopkdc.process.terminate().success());

        scene.names.is_silent_about("example.com");
        let loopkdc = scene.loopkdc(&discover());
        assert_eq!(ways_to(&loopkdc, "kdc"), logins);
    });
}

#[test]
fn proxies_are_found_by_service_records() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        let records = [Record::Srv(0, 443, "proxy.test")];
        scene
            .names
            .says("_kerberos._https.EXAMPLE.COM", LONG, &records);
        let _loopkdc = scene.loopkdc(&discover());
        scene.uses_all();
        proxy.was_asked(6);
    });
}

#[test]
fn the_next_by_priority_takes_over() {
    isolated(|| {
        let scene = Scene::new();
        let mut first = scene.proxy("proxy.test", FIRST);
        let second = scene.proxy("second.test", SECOND);
        scene.lead(
            LONG,
            &[(20, "https://second.test"), (10, "https://proxy.test")],
        );
        let _loopkdc = scene.loopkdc(&discover());
        scene.kinit().succeeds();
        first.was_asked(2);
        second.was_asked(0);
        first.process.terminate();
        scene.kinit().succeeds();
        second.was_asked(2);
    });
}

/// Half a minute is the least: it is what this waits for, and meanwhile nothing moves, for nobody asks.
#[test]
fn a_zone_that_changed_is_followed_when_its_time_is_up_and_a_request_comes() {
    isolated(|| {
        let scene = Scene::new();
        let (first, second) = (
            scene.proxy("proxy.test", FIRST),
            scene.proxy("second.test", SECOND),
        );
        scene.lead(1, &[(10, "https://proxy.test")]);
        let loopkdc = scene.loopkdc(&discover());
        let began = Instant::now();
        scene.kinit().succeeds();
        scene.lead(1, &[(10, "https://second.test")]);
        scene.kinit().succeeds();
        first.was_asked(4);
        assert!(began.elapsed() < SHORTEST);
        let asked = scene.names.queries().len();
        // Threads for name look-ups and files end after ten seconds.
        let settled = SHORTEST * 2 / 5;
        scene.names.rests("", asked, settled);
        let before = wake_ups(&loopkdc);
        scene.names.rests("", asked, SHORTEST - settled);
        // A deadline that was met may ring once more.
        let woke = wake_ups(&loopkdc) - before;
        assert!(woke <= 2, "woke {woke} times while nobody asked");
        // Who comes now does not wait for the answer.
        scene.kinit().succeeds();
        scene.names.was_asked(URI, 2, SHORTEST);
        loopkdc.process.wait_for("kdc=https://second.test");
        scene.kinit().succeeds();
        second.process.wait_for(" client=");
        assert_eq!(scene.names.count(URI), 2);
    });
}

#[test]
fn a_zone_that_changed_is_followed_on_the_next_network_and_when_asked_to() {
    isolated(|| {
        let scene = Scene::new();
        let (_first, second) = (
            scene.proxy("proxy.test", FIRST),
            scene.proxy("second.test", SECOND),
        );
        scene.lead(LONG, &[(10, "https://proxy.test")]);
        let loopkdc = scene.loopkdc(&discover());
        scene.kinit().succeeds();
        scene.lead(LONG, &[(10, "https://second.test")]);
        change_network(&loopkdc);
        scene.kinit().succeeds();
        loopkdc.process.wait_for("kdc=https://second.test");
        scene.kinit().succeeds();
        second.process.wait_for(" client=");

        scene.lead(LONG, &[(10, "https://proxy.test")]);
        let text = fs::read_to_string(loopkdc.config()).unwrap();
        reconfigure(&loopkdc, &text);
        scene.kinit().succeeds();
        loopkdc.process.wait_for_count("kdc=https://proxy.test", 2);
        assert_eq!(scene.names.count(URI), 3);
    });
}

/// The first request waits as long as for a connect; those after it fail at once, until it is time for another look-up or the
/// network is another one.
#[test]
fn a_name_server_that_is_silent_is_waited_for_once() {
    isolated(|| {
        let scene = Scene::new();
        let _proxy = scene.proxy("proxy.test", FIRST);
        scene.lead(LONG, &[(10, "https://proxy.test")]);
        scene.names.is_silent_about("example.com");
        let loopkdc = scene.loopkdc(&discover());
        let first = scene.kinit().fails_with("Cannot contact any KDC").took;
        let second = scene.kinit().fails_with("Cannot contact any KDC").took;
        eprintln!("the first kinit took {first:?}, the second {second:?}");
        assert!(first < Duration::from_secs(5), "{first:?}");
        assert!(second < Duration::from_secs(1), "{second:?}");
        loopkdc
            .process
            .wait_for("its KDC proxies can't be looked up");

        scene.names.speaks_again();
        change_network(&loopkdc);
        scene.kinit().succeeds();
        loopkdc
            .process
            .wait_for("its KDC proxies can be looked up again");
    });
}

#[test]
fn a_realm_without_proxies_is_told_and_tried_again_on_the_next_network() {
    isolated(|| {
        let scene = Scene::new();
        let _proxy = scene.proxy("proxy.test", FIRST);
        let loopkdc = scene.loopkdc(&discover());
        let soon = Duration::from_secs(1);
        let kinit = scene.kinit().fails_with("Cannot contact any KDC");
        kinit.within(soon);
        loopkdc
            .process
            .wait_for("KDC proxies found in DNS realm=EXAMPLE.COM kdc=none");
        scene.lead(LONG, &[(10, "https://proxy.test")]);
        change_network(&loopkdc);
        scene.kinit().succeeds();
    });
}

/// On the office network the KDC is there, and there need be no proxy.
#[test]
fn kdcs_and_proxies_are_both_found() {
    isolated(|| {
        let scene = Scene::new();
        scene.lead_to_kdcs(&["dc1.test"]);
        let lines = format!("direct = \"prefer\"\ndiscover = true\n{}", discover());
        let loopkdc = scene.loopkdc(&lines);
        scene.kinit().succeeds();

        let proxy = scene.proxy("proxy.test", FIRST);
        for name in ["_kerberos._tcp.EXAMPLE.COM", "_kpasswd._tcp.EXAMPLE.COM"] {
            scene.names.forgets(name);
        }
        scene.lead(LONG, &[(10, "https://proxy.test")]);
        change_network(&loopkdc);
        scene.kinit().succeeds();
        proxy.was_asked(2);
    });
}

#[test]
fn the_status_shows_what_was_found_until_when_and_what_failed() {
    isolated(|| {
        let scene = Scene::new();
        let _proxy = scene.proxy("proxy.test", FIRST);
        let records = [
            (10, "https://proxy.test/KdcProxy"),
            (20, "http://plain.test/x"),
        ];
        scene.lead(LONG, &records);
        let loopkdc = scene.loopkdc(&discover());
        let look_ups = || {
            let status = loopkdc.status();
            let look_ups = status["realms"][0]["look_ups"].as_array().unwrap().clone();
            assert_eq!(look_ups.len(), 1, "{look_ups:?}");
            (look_ups[0].clone(), status)
        };
        let (before, _) = look_ups();
        assert_eq!(before["what"], "proxies");
        assert!(before["expires_at"].is_null() && before["kdc"].as_array().unwrap().is_empty());
        scene.kinit().succeeds();
        let (found, status) = look_ups();
        assert_eq!(found["kdc"], serde_json::json!(["https://proxy.test"]));
        assert_eq!(found["rejected"][0]["name"], "http://plain.test");
        assert!(
            found["expires_at"].as_u64() > status["written_at"].as_u64(),
            "{found}"
        );
        assert!(found["error"].is_null());

        scene.names.is_silent_about("EXAMPLE.COM");
        change_network(&loopkdc);
        scene.kinit().succeeds();
        loopkdc.process.wait_for("can't be looked up");
        let (failed, status) = look_ups();
        assert!(failed["error"].is_string(), "{failed}");
        assert_eq!(failed["kdc"], found["kdc"], "what was found still holds");
        let problems = status["problems"].as_array().unwrap();
        let of_realm = problems
            .iter()
            .find(|problem| problem["subject"]["layer"] == "names")
            .unwrap();
        assert_finding_leads_on(&serde_json::from_value(of_realm.clone()).unwrap());
        assert!(
            status["network"]["changes"].as_u64() > Some(0),
            "{}",
            status["network"]
        );
        assert_eq!(status["network"]["watched"], true);
    });
}

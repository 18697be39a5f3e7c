//! What was found, for the next start.

use std::fs;
use std::time::Duration;

use crate::scene::{FIRST, LONG, LOOPBACK, SECOND, Scene, change_network, ways_to};
use crate::support::netns::isolated;

const SOON: Duration = Duration::from_secs(1);

fn discover() -> String {
    format!("proxies = \"discover\"\n{LOOPBACK}")
}

/// Starts the program where DNS names the proxy, has it find it, and ends it; brings its log.
fn found_before(scene: &Scene) -> String {
    scene.lead(LONG, &[(10, "https://proxy.test")]);
    let mut loopkdc = scene.loopkdc(&discover());
    scene.kinit().succeeds();
    loopkdc.process.wait_for("kept for the next start");
    assert!(loopkdc.process.terminate().success());
    let memory = fs::read_to_string(scene.memory()).unwrap();
    assert!(
        memory.contains("\"https://proxy.test/KdcProxy\""),
        "{memory}"
    );
    loopkdc.process.log()
}

/// Where name servers are silent about the zone, and where they know nothing of it.
#[test]
fn the_next_start_needs_no_zone() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        found_before(&scene);
        scene.names.is_silent_about("example.com");
        let mut loopkdc = scene.loopkdc(&discover());
        let kinit = scene.kinit().succeeds();
        kinit.within(SOON);
        proxy.was_asked(4);
        loopkdc.process.terminate();

        scene.names.speaks_again();
        scene.names.forgets("_kerberos.EXAMPLE.COM");
        let loopkdc = scene.loopkdc(&discover());
        scene.kinit().succeeds();
        let patience = Duration::from_secs(20);
        scene.names.was_asked("_kerberos.EXAMPLE.COM", 3, patience);
        change_network(&loopkdc);
        scene.kinit().succeeds();
        proxy.was_asked(8);
        let memory = fs::read_to_string(scene.memory()).unwrap();
        assert!(
            memory.contains("\"https://proxy.test/KdcProxy\""),
            "{memory}"
        );
    });
}

/// Names proxies that nobody has heard of, one after the other: one that is not there, and one that knows another realm. And at
/// home the name server knows nothing.
#[test]
fn a_network_that_lies_leads_astray_for_no_longer_than_it_is_there() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        found_before(&scene);
        let memory = fs::read_to_string(scene.memory()).unwrap();
        let loopkdc = scene.loopkdc(&discover());
        let mut asked = 2;
        for is_there in [false, true] {
            let _stranger = is_there.then(|| scene.strangers_proxy("second.test", SECOND));
            scene.lead(LONG, &[(10, "https://second.test")]);
            change_network(&loopkdc);
            scene.kinit().succeeds();
            asked += 2;
            proxy.was_asked(asked);
            let ways = ways_to(&loopkdc, "kdc").into_iter().map(|(name, _)| name);
            // The one that fails is shown behind the other.
            let ways: Vec<_> = ways.collect();
            assert_eq!(ways, ["https://proxy.test", "https://second.test"]);

            scene.names.forgets("_kerberos.EXAMPLE.COM");
            change_network(&loopkdc);
            scene.kinit().succeeds();
            asked += 2;
            proxy.was_asked(asked);
            let ways = ways_to(&loopkdc, "kdc");
            assert_eq!(ways, [("https://proxy.test".to_owned(), false)]);
        }
        assert_eq!(fs::read_to_string(scene.memory()).unwrap(), memory);
    });
}

/// Puts a file there that can't be read.
fn break_file(scene: &Scene) {
    fs::create_dir(scene.memory().parent().unwrap()).unwrap();
    fs::write(scene.memory(), b"[realms.\"EXAMPLE.COM\"\0").unwrap();
}

#[test]
fn a_broken_file_is_told_and_replaced() {
    isolated(|| {
        let scene = Scene::new();
        let _proxy = scene.proxy("proxy.test", FIRST);
        break_file(&scene);
        let log = found_before(&scene);
        assert_eq!(
            log.matches("found in DNS can't be read where it was kept")
                .count(),
            1
        );
        let loopkdc = scene.loopkdc(&discover());
        assert_eq!(loopkdc.process.count("can't be read"), 0);
    });
}

#[test]
fn where_proxies_are_listed_the_file_is_not_read() {
    isolated(|| {
        let scene = Scene::new();
        let _proxy = scene.proxy("proxy.test", FIRST);
        break_file(&scene);
        let loopkdc = scene.loopkdc("proxies = [\"https://proxy.test\"]\n");
        scene.kinit().succeeds();
        assert_eq!(loopkdc.process.count("can't be read"), 0);
    });
}

/// The folder is read-only, or no folder: what is found is used all the same. A zone may change as often as it likes.
#[test]
fn nowhere_to_keep_it_is_told_once_and_no_fault() {
    isolated(|| {
        let scene = Scene::new();
        let _proxy = scene.proxy("proxy.test", FIRST);
        let _second = scene.proxy("second.test", SECOND);
        fs::write(scene.memory().parent().unwrap(), "").unwrap();
        scene.lead(LONG, &[(10, "https://proxy.test")]);
        let loopkdc = scene.loopkdc(&discover());
        scene.kinit().succeeds();
        let told = "what was found in DNS can't be kept for the next start";
        loopkdc.process.wait_for(told);
        scene.lead(LONG, &[(10, "https://second.test")]);
        change_network(&loopkdc);
        scene.kinit().succeeds();
        loopkdc.process.wait_for_count(told, 2);
        let log = loopkdc.process.log();
        let lines = log.lines().filter(|line| line.contains(told));
        let warnings = lines.filter(|line| line.contains("WARN"));
        assert_eq!(warnings.count(), 1, "{log}");
    });
}

//! Zones that name what they should not, and names that are not looked up.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::scene::{FIRST, LONG, LOOPBACK, Scene, at, uri};
use crate::support::client::Client;
use crate::support::nameserver::Record;
use crate::support::netns::isolated;
use crate::support::realm::PASSWORD;
use crate::support::trap::Trap;

const DISCOVER: &str = "proxies = \"discover\"\n";

#[test]
fn what_a_zone_names_besides_proxies_on_other_hosts_is_not_asked() {
    isolated(|| {
        let scene = Scene::new();
        let traps = [80, 443, 631].map(|port| Trap::at(1, port));
        let named = [
            "http://proxy.test/",
            "https://localhost/",
            "https://127.0.0.1:631/",
            "https://[::1]/",
            "ftp://proxy.test/",
            "https://proxy.test:99999/",
            "nonsense",
        ];
        scene.lead(LONG, &named.map(|url| (0, url)));
        scene.names.says(
            "_kpasswd.EXAMPLE.COM",
            LONG,
            &[Record::Uri(0, "\u{1}\u{2}".to_owned())],
        );
        let loopkdc = scene.loopkdc(DISCOVER);
        let kinit = scene.kinit().fails_with("Cannot contact any KDC");
        kinit.within(Duration::from_secs(1));
        loopkdc
            .process
            .wait_for_count("found in DNS and not asked", named.len() + 1);
        for trap in traps {
            trap.is_untouched();
        }
    });
}

/// A name is judged by the address that it leads to when it is used.
#[test]
fn a_name_that_leads_to_this_machine_leads_nowhere() {
    isolated(|| {
        let scene = Scene::new();
        let trap = Trap::at(FIRST, 443);
        scene.lead(LONG, &[(0, "https://proxy.test/")]);
        let loopkdc = scene.loopkdc(DISCOVER);
        scene.kinit().fails_with("Cannot contact any KDC");
        loopkdc.process.wait_for("is refused: loopback");
        trap.is_untouched();
    });
}

/// As many records as fit into an answer, one of which is the proxy's.
#[test]
fn a_zone_with_very_many_records_is_read() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        let mut records: Vec<_> = (1..1_000)
            .map(|n| uri(n, &format!("https://p{n}.proxy.test")))
            .collect();
        records.push(uri(0, "https://proxy.test"));
        scene.names.says("_kerberos.EXAMPLE.COM", LONG, &records);
        let _loopkdc = scene.loopkdc(&format!("{DISCOVER}{LOOPBACK}"));
        scene.kinit().succeeds();
        proxy.was_asked(2);
    });
}

/// TLS has to vouch for the name, whoever wrote the zone.
#[test]
fn a_proxy_that_cannot_prove_its_name_is_told_nothing() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        scene.names.says("other.test", LONG, &[at(FIRST)]);
        scene.lead(LONG, &[(0, "https://other.test")]);
        let _loopkdc = scene.loopkdc(&format!("{DISCOVER}{LOOPBACK}"));
        scene.kinit().fails_with("Cannot contact any KDC");
        proxy.was_asked(0);
    });
}

#[test]
fn plain_text_is_spoken_only_where_that_is_allowed() {
    isolated(|| {
        let scene = Scene::new();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, FIRST], 80))).unwrap();
        scene.lead(LONG, &[(0, "http://proxy.test")]);
        let lines = format!("{DISCOVER}{LOOPBACK}");
        let mut loopkdc = scene.loopkdc(&lines);
        scene.kinit().fails_with("Cannot contact any KDC");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "a connection");
        loopkdc.process.terminate();

        let _loopkdc = scene.loopkdc(&format!(
            "{lines}allow-plaintext = true\ndeadline-seconds = 1\n"
        ));
        scene.kinit().fails_with("Cannot contact any KDC");
        listener.accept().unwrap();
    });
}

/// Whatever a client asks for, nothing is looked up but what the configuration declares: not for a realm of its choice, and not
/// for one that only a wildcard matches.
#[test]
fn no_client_causes_a_query_for_a_name_of_its_choice() {
    isolated(|| {
        let scene = Scene::new();
        let proxy = scene.proxy("proxy.test", FIRST);
        scene.lead(LONG, &[(0, "https://proxy.test")]);
        let lines = format!(
            "{DISCOVER}{LOOPBACK}direct = \"prefer\"\ndiscover = true\n\
             [realms.\"*.EXAMPLE.COM\"]\nproxies = [\"https://proxy.test\"]\n"
        );
        let _loopkdc = scene.loopkdc(&lines);
        let evil = scene.dir().join("evil");
        std::fs::create_dir(&evil).unwrap();
        let mut client = Client::by_drop_in(&evil, &["EVIL.EXAMPLE.COM"]);
        client.also("[realms]\n EVIL.TEST = {\n kdc = 127.0.0.1\n primary_kdc = 127.0.0.1\n }\n");
        for realm in ["EVIL.EXAMPLE.COM", "EVIL.TEST"] {
            let kinit = client.run(&format!("kinit user@{realm}"), &[PASSWORD]);
            assert!(!kinit.success, "{}", kinit.text);
        }
        scene.kinit().succeeds();
        assert_eq!(scene.names.count("_kerberos.EXAMPLE.COM"), 1);
        let queries = scene.names.queries();
        let is_evil = |name: &String| name.to_lowercase().contains("evil");
        assert!(!queries.iter().any(is_evil), "{queries:?}");
        proxy.process.wait_for(" client=");
    });
}

//! The alerts and the dashboard for Prometheus, with a real one that reads a gateway at work.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use yaml_rust2::{Yaml, YamlLoader};

use crate::support::netns::isolated;
use crate::support::openssl_ca::OpensslCa;
use crate::support::process::{PATIENCE, Process};
use crate::support::proxy::{KdcProxy, certify};
use crate::support::unpacked;
use crate::{packaging, run, text};

fn program(name: &str) -> PathBuf {
    unpacked::file("prometheus", &format!("usr/bin/{name}"))
}

/// JSON is YAML, too.
fn parsed(name: &str) -> Yaml {
    let text = text(&format!("prometheus/{name}"));
    YamlLoader::load_from_str(&text).unwrap().swap_remove(0)
}

fn strings<'a>(yaml: &'a Yaml, key: &str, found: &mut Vec<&'a str>) {
    match yaml {
        Yaml::Hash(hash) => {
            for (name, value) in hash {
                match value.as_str() {
                    Some(text) if name.as_str() == Some(key) => found.push(text),
                    _ => strings(value, key, found),
                }
            }
        }
        Yaml::Array(array) => array.iter().for_each(|each| strings(each, key, found)),
        _ => {}
    }
}

/// What the file asks Prometheus, with the dashboard's variables filled in.
fn expressions(name: &str) -> Vec<String> {
    let yaml = parsed(name);
    let mut found = Vec::new();
    strings(&yaml, "expr", &mut found);
    let filled = found.into_iter().map(|expression| {
        expression
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*")
    });
    filled.collect()
}

/// The metrics of ours in these expressions.
fn metrics(expressions: &[String]) -> BTreeSet<String> {
    let words = expressions
        .iter()
        .flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
    let ours = words.filter(|word| word.starts_with("loopkdc_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn the_rules_are_valid_and_each_alert_is_given_once() {
    let promtool = |what: &str, file: &str| {
        run(Command::new(program("promtool"))
            .args([what, "rules"])
            .arg(packaging("prometheus").join(file)))
    };
    promtool("check", "loopkdc.rules.yml");
    promtool("test", "loopkdc.rules.test.yml");
    let rules = parsed("loopkdc.rules.yml");
    let tests = parsed("loopkdc.rules.test.yml");
    let (mut alerts, mut tested) = (Vec::new(), Vec::new());
    strings(&rules, "alert", &mut alerts);
    strings(&tests, "alertname", &mut tested);
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in alerts {
        let count = tested.iter().filter(|name| **name == alert).count();
        assert_eq!(count, 2, "{alert} with all well, and with its fault");
    }
}

/// A gateway with a certificate, a realm, and a KDC that is not there, which was asked for once.
fn gateway(dir: &Path) -> KdcProxy {
    certify(dir);
    let _clients = OpensslCa::new(dir.join("clients"));
    let configuration = "[gateway]\nlisten = [\"127.0.0.1:8443\"]\nmetrics-listen = \"127.0.0.1:9464\"\n\
        certificate = \"leaf.pem\"\nkey = \"leaf.key\"\n\
        client-ca-file = \"clients/ca.pem\"\nclient-crl-file = \"clients/crl.pem\"\n[realms.\"EXAMPLE.COM\"]\nkdcs = [\"127.0.0.1:88\"]\n";
    let gateway = KdcProxy::gateway(dir, 8443, configuration);
    run(Command::new("curl")
        .args(["-sS", "--cacert"])
        .arg(&gateway.ca_file)
        .args(["--data", "no Kerberos", &gateway.url()]));
    gateway
}

/// Prometheus by the configuration that is shipped, which it reads every second instead of every minute.
fn prometheus(dir: &Path) -> Process {
    let configuration = text("prometheus/prometheus.yml");
    let faster = "global:\n  scrape_interval: 1s\n".to_owned() + &configuration;
    let file = dir.join("prometheus.yml");
    fs::write(&file, faster).unwrap();
    fs::copy(
        packaging("prometheus/loopkdc.rules.yml"),
        dir.join("loopkdc.rules.yml"),
    )
    .unwrap();
    let mut command = Command::new(program("prometheus"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            dir.join("tsdb").display()
        ))
        .arg("--web.listen-address=127.0.0.1:9090");
    Process::start(
        "prometheus",
        &mut command,
        "Server is ready to receive web requests",
    )
}

/// What Prometheus answers.
fn query(expression: &str) -> String {
    run(Command::new("curl")
        .args(["-sS", "--get", "http://127.0.0.1:9090/api/v1/query"])
        .args(["--data-urlencode", &format!("query={expression}")]))
}

fn is_known(metric: &str) -> bool {
    query(metric).contains("\"__name__\"")
}

/// It takes each expression, and knows each metric that one of them names.
#[test]
fn what_they_ask_for_is_there() {
    isolated(|| {
        let dir = tempdir().unwrap();
        let _gateway = gateway(dir.path());
        let prometheus = prometheus(dir.path());
        let until = Instant::now() + PATIENCE;
        // What was scraped is told by nobody, and wakes nobody.
        while !is_known("loopkdc_request_duration_seconds_bucket") {
            let log = prometheus.log();
            assert!(Instant::now() < until, "nothing was scraped: {log}");
            thread::sleep(Duration::from_millis(100));
        }
        for (file, least) in [("loopkdc.rules.yml", 10), ("grafana.json", 20)] {
            let expressions = expressions(file);
            assert!(expressions.len() >= least, "{expressions:#?}");
            for expression in &expressions {
                let answer = query(expression);
                let taken = answer.starts_with("{\"status\":\"success\"");
                assert!(taken, "{expression}: {answer}");
            }
            for metric in metrics(&expressions) {
                assert!(is_known(&metric), "{metric} of {file}");
            }
        }
    });
}

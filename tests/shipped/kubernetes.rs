//! The manifests for Kubernetes.

use std::collections::BTreeSet;

use yaml_rust2::{Yaml, YamlLoader};

use crate::{checked, text};

const APP: &str = "loopkdc-gateway";

fn objects(file: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&text(&format!("kubernetes/{file}"))).unwrap()
}

/// The object of this kind, which is the only one in its file.
fn object_in(file: &str, kind: &str) -> Yaml {
    let objects = objects(file).into_iter();
    let mut found = objects.filter(|object| object["kind"].as_str() == Some(kind));
    let one = found.next().unwrap_or_else(|| panic!("a {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    one
}

fn object(kind: &str) -> Yaml {
    object_in("gateway.yaml", kind)
}

fn label(yaml: &Yaml) -> &str {
    yaml["app.kubernetes.io/name"].as_str().unwrap()
}

fn words(list: &Yaml) -> Vec<&str> {
    let list = list.as_vec().unwrap().iter();
    list.map(|word| word.as_str().unwrap()).collect()
}

/// The port of the container that has this name.
fn port(name: &str) -> i64 {
    let deployment = object("Deployment");
    let ports = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
    let mut ports = ports.as_vec().unwrap().iter();
    let port = ports.find(|port| port["name"].as_str() == Some(name));
    port.unwrap()["containerPort"].as_i64().unwrap()
}

/// The base names every file that there is, but for what needs an operator of its own, and one image, by its digest.
#[test]
fn the_base_is_whole() {
    let base = &objects("kustomization.yaml")[0];
    let listed = words(&base["resources"]);
    assert_eq!(listed, ["gateway.yaml", "network-policy.yaml"]);
    let whole = text("kubernetes/kustomization.yaml");
    assert!(whole.contains("\n  # - service-monitor.yaml\n"), "{whole}");
    let map = &base["configMapGenerator"][0];
    assert_eq!(map["name"].as_str(), Some(APP));
    assert_eq!(words(&map["files"]), ["gateway.toml"]);
    let deployment = object("Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let image = &base["images"][0];
    assert_eq!(image["name"], container["image"]);
    assert!(image["digest"].as_str().unwrap().starts_with("sha256:"));
}

/// Clients come in by the port of the Service and by no other; the pods reach names and KDCs alone. Prometheus' operator finds the
/// metrics by a Service that is not the clients'.
#[test]
fn what_is_not_needed_is_shut() {
    let policy = &object_in("network-policy.yaml", "NetworkPolicy")["spec"];
    assert_eq!(label(&policy["podSelector"]["matchLabels"]), APP);
    assert_eq!(words(&policy["policyTypes"]), ["Ingress", "Egress"]);
    let ports = |rules: &Yaml| {
        let rules = rules.as_vec().unwrap().clone().into_iter();
        let ports = rules.flat_map(|rule| rule["ports"].as_vec().unwrap().clone());
        ports
            .map(|port| port["port"].clone())
            .collect::<BTreeSet<_>>()
    };
    let https = Yaml::String("https".to_owned());
    assert_eq!(ports(&policy["ingress"]), [https].into());
    let out = [53, 88, 464, 5353].map(Yaml::Integer);
    assert_eq!(ports(&policy["egress"]), out.into());

    let of_metrics = |kind| object_in("service-monitor.yaml", kind);
    let (service, monitor) = (of_metrics("Service"), of_metrics("ServiceMonitor"));
    let labels = &service["metadata"]["labels"];
    let selector = &monitor["spec"]["selector"]["matchLabels"];
    for (key, value) in selector.as_hash().unwrap() {
        assert_eq!(labels.as_hash().unwrap().get(key), Some(value));
    }
    let clients = object("Service");
    let component = &selector["app.kubernetes.io/component"];
    assert_ne!(
        &clients["metadata"]["labels"]["app.kubernetes.io/component"],
        component
    );
    assert_eq!(
        service["spec"]["ports"][0]["name"],
        monitor["spec"]["endpoints"][0]["port"]
    );
    assert_eq!(
        service["spec"]["ports"][0]["targetPort"].as_str(),
        Some("metrics")
    );
    let admitted = &of_metrics("NetworkPolicy")["spec"]["ingress"];
    assert_eq!(ports(admitted), [Yaml::String("metrics".to_owned())].into());
    assert!(!admitted[0]["from"].is_badvalue());
}

/// All objects are there, under one name, and those that select something select the pods of the Deployment.
#[test]
fn they_belong_together() {
    let deployment = object("Deployment");
    let pod = &deployment["spec"]["template"];
    assert_eq!(label(&pod["metadata"]["labels"]), APP);
    for (kind, selector) in [
        ("Deployment", &["selector", "matchLabels"][..]),
        ("Service", &["selector"]),
        ("PodDisruptionBudget", &["selector", "matchLabels"]),
    ] {
        let object = object(kind);
        let selected = selector
            .iter()
            .fold(&object["spec"], |yaml, key| &yaml[*key]);
        assert_eq!(label(selected), APP, "{kind}");
        assert_eq!(object["metadata"]["name"].as_str(), Some(APP), "{kind}");
    }
    let scaled = &object("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!(scaled["kind"].as_str(), Some("Deployment"));
    assert_eq!(scaled["name"].as_str(), Some(APP));
    let container = &pod["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        assert!(!container[probe].is_badvalue(), "{probe}");
    }
    let request = &container["resources"]["requests"]["cpu"];
    assert!(!request.is_badvalue(), "what utilization is measured by");
}

/// The configuration in it is valid, listens where the container says, and reads the certificate where it is mounted.
#[test]
fn the_gateway_takes_its_configuration() {
    let configuration = &text("kubernetes/gateway.toml");
    let deployment = object("Deployment");
    let spec = &deployment["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let (https, metrics) = (port("https"), port("metrics"));
    let mounts = container["volumeMounts"].as_vec().unwrap();
    let mount = |name: &str| {
        let mount = mounts
            .iter()
            .find(|mount| mount["name"].as_str() == Some(name));
        mount.unwrap()["mountPath"].as_str().unwrap().to_owned()
    };
    let args = words(&container["args"]);
    assert_eq!(
        args,
        [
            "gateway",
            "--config",
            &format!("{}/gateway.toml", mount("config"))
        ]
    );

    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    let here = configuration.replace(&mount("tls"), dir.path().to_str().unwrap());
    assert_ne!(
        &here, configuration,
        "the certificate is read from the Secret"
    );
    let report = checked(&here);
    for served in [
        format!("https: 0.0.0.0:{https}\n"),
        format!("metrics: http://0.0.0.0:{metrics}/metrics\n"),
    ] {
        assert!(report.contains(&served), "{served} in {report}");
    }
    let service = object("Service");
    assert_eq!(
        service["spec"]["ports"][0]["targetPort"].as_str(),
        container["ports"][0]["name"].as_str()
    );
}

/// Writes what a Secret of type kubernetes.io/tls holds.
fn certify(dir: &std::path::Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["gateway.example.com".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(dir.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.join("tls.key"), key.serialize_pem()).unwrap();
}

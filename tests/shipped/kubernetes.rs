//! The manifests for Kubernetes.

use yaml_rust2::{Yaml, YamlLoader};

use crate::{checked, text};

const APP: &str = "loopkdc-gateway";

/// The object of this kind.
fn object(kind: &str) -> Yaml {
    let objects = YamlLoader::load_from_str(&text("kubernetes/gateway.yaml")).unwrap();
    let mut found = objects
        .into_iter()
        .filter(|object| object["kind"].as_str() == Some(kind));
    let one = found.next().unwrap_or_else(|| panic!("a {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    one
}

fn label(yaml: &Yaml) -> &str {
    yaml["app.kubernetes.io/name"].as_str().unwrap()
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
    let map = object("ConfigMap");
    let configuration = map["data"]["gateway.toml"].as_str().unwrap();
    let deployment = object("Deployment");
    let spec = &deployment["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let port = container["ports"][0]["containerPort"].as_i64().unwrap();
    let mounts = container["volumeMounts"].as_vec().unwrap();
    let mount = |name: &str| {
        let mount = mounts
            .iter()
            .find(|mount| mount["name"].as_str() == Some(name));
        mount.unwrap()["mountPath"].as_str().unwrap().to_owned()
    };
    let args: Vec<_> = container["args"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap())
        .collect();
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
        here, configuration,
        "the certificate is read from the Secret"
    );
    let report = checked(&here);
    assert!(
        report.contains(&format!("https: 0.0.0.0:{port}\n")),
        "{report}"
    );
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

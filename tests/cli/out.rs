//! How requests get out, in the words of `loopkdc check`.

use std::fs;

use crate::Home;

const FILES: [(&str, &str); 2] = [
    ("token.txt", "s3cret\n"),
    ("headers.txt", "X-Device: s3cret\n"),
];

#[test]
fn check_shows_how_requests_get_out_and_no_secret() {
    let home = Home::new(
        r#"
        [realms."EXAMPLE.COM"]
        proxies = ["https://kdcproxy.example.com"]
        http-proxy = "http://jane:s3cret@proxy.example.com:3128"
        headers = ["X-Site: s3cret", "X-Floor: s3cret"]
        headers-file = "headers.txt"
        bearer-token-file = "token.txt"
        pins = ["sha256/Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU="]
        min-tls = "1.3"
        http-version = "1.1"
        [realms."OTHER.EXAMPLE"]
        proxies = ["https://kdcproxy.example.com"]
        http-proxy = "environment"
        "#,
    );
    for (name, text) in FILES {
        fs::write(home.path().join(name), text).unwrap();
    }
    let ended = home.loopkdc(&["check", "--config", "config.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().skip(3).collect();
    assert_eq!(
        lines,
        [
            "realm EXAMPLE.COM",
            "  1. https://kdcproxy.example.com/KdcProxy",
            "  deadline 9 s, on-failure unreachable",
            "  by way of http://proxy.example.com:3128",
            "  with headers, headers-file, bearer-token-file, pins, min-tls, http-version",
            "realm OTHER.EXAMPLE",
            "  1. https://kdcproxy.example.com/KdcProxy",
            "  deadline 9 s, on-failure unreachable",
            "  by way of what HTTPS_PROXY, ALL_PROXY and NO_PROXY say",
            "any other realm: no proxy, on-failure unreachable",
        ]
    );
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    for name in ["config.toml", "headers.txt", "token.txt"] {
        let warning = format!(
            "loopkdc: warning: any local user may read {name}, which holds a secret\nloopkdc: hint: chmod o= {name}"
        );
        assert!(ended.stderr.contains(&warning), "{}", ended.stderr);
    }
}

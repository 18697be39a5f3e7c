//! `loopkdc gateway`: what is said of a configuration that is good, and of each that is not.

use std::fs;
use std::net::TcpListener;

use rcgen::{CertificateParams, KeyPair};

use super::{Ended, Home};

const CONFIG: &str = r#"[gateway]
listen = ["127.0.0.1:0"]
certificate = "gateway.pem"
key = "gateway-key.pem"
[realms."EXAMPLE.COM"]
kdcs = ["127.0.0.1:88"]
"#;

/// A home with the configuration, the certificate that it names and its key.
pub(super) fn home(config: &str) -> Home {
    let home = Home::new(config);
    let key = KeyPair::generate().unwrap();
    let names = vec!["gateway.example.com".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    home.write("gateway.pem", &certificate.pem());
    home.write("gateway-key.pem", &key.serialize_pem());
    home
}

impl Home {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// Fails the test unless the gateway and its check both end so, with nothing on stdout.
    fn gateway_ends(&self, code: i32, stderr: &str) {
        for args in [&["gateway"][..], &["check", "--gateway"]] {
            let args = [args, &["--config", "config.toml"]].concat();
            assert_eq!(self.loopkdc(&args), ended(code, stderr), "{args:?}");
        }
    }
}

fn ended(code: i32, stderr: &str) -> Ended {
    Ended {
        code: Some(code),
        stdout: String::new(),
        stderr: stderr.to_owned(),
    }
}

#[test]
fn check_shows_what_would_be_served_and_which_kdcs_are_asked() {
    let home = home(
        r#"
        [gateway]
        listen = ["0.0.0.0:443", "[::]:8443"]
        certificate = "gateway.pem"
        key = "gateway-key.pem"
        plain-listen = ["127.0.0.1:8080", "unix:/run/loopkdc/gateway.sock"]
        path = "/tenant/KdcProxy"
        client-ca-file = "gateway.pem"
        require-client-cert = true
        clients = [{ san = "*.example.com", realms = ["EXAMPLE.COM", "CORP"] }]
        tokens-file = "tokens.txt"
        client-requests-per-second = 7
        client-burst = 9
        client-max-in-flight = 5
        failed-logins-per-minute = 0
        access-log = "access.log"
        log-principals = true
        metrics-listen = "127.0.0.1:9464"
        [defaults]
        deadline-seconds = 5
        [realms."EXAMPLE.COM"]
        kdcs = [{ address = "dc1.example.com", primary = true }, "dc2.example.com:1088"]
        kpasswd-servers = ["admin.example.com"]
        aliases = ["CORP", "EXAMPLE"]
        transport = "udp"
        [realms."FOUND.EXAMPLE"]
        discover = true
        discover-ports = [88, 464, 1088]
        services = ["kdc"]
        serve-other-realms = true
        preauth = "armored"
        deny-principals = ["root", "*/admin"]
        allow-services = ["HTTP/*"]
        "#,
    );
    home.write("tokens.txt", "");
    let ended = home.loopkdc(&["check", "--gateway", "--config", "config.toml"]);
    let stdout = "\
config.toml: valid
https: 0.0.0.0:443, [::]:8443
plain http: 127.0.0.1:8080, unix:/run/loopkdc/gateway.sock
path: /tenant/KdcProxy
certificate: gateway.pem
client certificates: required of every client, signed by gateway.pem
  *.example.com: let in for EXAMPLE.COM, CORP
tokens let in: tokens.txt
access log: access.log
metrics: http://127.0.0.1:9464/metrics
realm EXAMPLE.COM (also CORP, EXAMPLE)
  kdc 1. dc1.example.com:88 (primary)
  kdc 2. dc2.example.com:1088
  kpasswd 1. admin.example.com:464
  deadline 5 s, transport udp first
realm FOUND.EXAMPLE
  kdc: SRV records of _kerberos._tcp.FOUND.EXAMPLE and _kerberos._udp.FOUND.EXAMPLE, and of _kerberos-master for primary ones
  kpasswd: not offered
  ports allowed in them: 88, 464, 1088
  deadline 5 s, transport tcp first
  other realms of these KDCs: served under its name
  preauthentication: inside FAST alone
  refused principals: root, */admin
  tickets for these alone: HTTP/*
any other realm: not served
";
    let stderr = "\
loopkdc: warning: plain-listen without trusted-proxies: all clients behind the reverse proxy count as one
loopkdc: hint: set trusted-proxies
loopkdc: warning: client-ca-file has no say over plain-listen: the reverse proxy must check certificates there
loopkdc: warning: any local user may read tokens.txt, which holds a secret
loopkdc: hint: chmod o= tokens.txt
loopkdc: warning: log-principals: the access log names who logs in
loopkdc: warning: realm FOUND.EXAMPLE: allow-services has no krbtgt/FOUND.EXAMPLE: nobody can log in
loopkdc: hint: add \"krbtgt/FOUND.EXAMPLE\"
";
    assert_eq!(
        ended,
        Ended {
            code: Some(0),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned()
        }
    );
}

#[test]
fn without_a_configuration_it_says_how_to_make_one() {
    let home = Home::new("");
    let smallest = r#"
    [gateway]
    certificate = "gateway.pem"
    key = "gateway-key.pem"

    [realms."EXAMPLE.COM"]
    kdcs = ["dc1.example.com"]
"#;
    let what = "loopkdc: error: the gateway's configuration says which KDCs serve which realm, and";
    let stderr = |none: &str, make: &str| {
        format!(
            "{what} {none}\nloopkdc: hint: to make one, write into {make} (gateway.example.toml shows every key):{smallest}"
        )
    };
    let named = stderr("no.toml does not exist", "no.toml");
    let own = home.path().join(".config/loopkdc/gateway.toml");
    let usual = "/etc/loopkdc/gateway.toml";
    let neither = stderr(
        &format!("neither {} nor {usual} exists", own.display()),
        usual,
    );
    for (args, stderr) in [(&["--config", "no.toml"][..], named), (&[], neither)] {
        assert_eq!(
            home.loopkdc(&[&["gateway"], args].concat()),
            ended(78, &stderr)
        );
        assert_eq!(
            home.loopkdc(&[&["check", "--gateway"], args].concat()),
            ended(78, &stderr)
        );
    }
}

#[test]
fn a_port_that_is_taken_ends_with_78_and_says_how_to_see_by_whom() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port();
    for (key, config) in [
        (
            "listen",
            CONFIG.replace("127.0.0.1:0", &address.to_string()),
        ),
        (
            "plain-listen",
            CONFIG.replace(
                "[realms",
                &format!("plain-listen = [\"{address}\"]\n[realms"),
            ),
        ),
        (
            "metrics-listen",
            CONFIG.replace(
                "[realms",
                &format!("metrics-listen = \"{address}\"\n[realms"),
            ),
        ),
    ] {
        let home = home(&config);
        let stderr = format!(
            "\
loopkdc: error: cannot listen on {address}: Address already in use (os error 98)
loopkdc: hint: usually held by a web server or another loopkdc; to see who: ss -lntup 'sport = {port}'
loopkdc: hint: or listen elsewhere: {key} under [gateway] in the file
"
        );
        let args = ["gateway", "--log", "error", "--config", "config.toml"];
        assert_eq!(home.loopkdc(&args), ended(78, &stderr));
    }
}

#[test]
fn a_certificate_that_is_missing_ends_with_78() {
    let home = home(CONFIG);
    fs::remove_file(home.path().join("gateway.pem")).unwrap();
    home.gateway_ends(
        78,
        "\
loopkdc: error: config.toml:3:15: certificate gateway.pem does not exist
  |
3 | certificate = \"gateway.pem\"
  |               ^^^^^^^^^^^^^
",
    );
}

#[test]
fn the_key_of_another_certificate_ends_with_78() {
    let home = home(CONFIG);
    let other = KeyPair::generate().unwrap();
    home.write("gateway-key.pem", &other.serialize_pem());
    home.gateway_ends(
        78,
        "\
loopkdc: error: config.toml:4:7: key gateway-key.pem is not the one of the first certificate in gateway.pem
  |
4 | key = \"gateway-key.pem\"
  |       ^^^^^^^^^^^^^^^^^
loopkdc: hint: these must be the same: openssl pkey -in gateway-key.pem -pubout; openssl x509 -in gateway.pem -noout -pubkey
",
    );
}

#[test]
fn a_key_with_a_passphrase_ends_with_78() {
    let home = home(CONFIG);
    let mark = "ENCRYPTED PRIVATE KEY-----";
    let key = format!("-----BEGIN {mark}\nMAA=\n-----END {mark}\n");
    home.write("gateway-key.pem", &key);
    home.gateway_ends(
        78,
        "\
loopkdc: error: config.toml:4:7: key gateway-key.pem is encrypted, and there is no passphrase
  |
4 | key = \"gateway-key.pem\"
  |       ^^^^^^^^^^^^^^^^^
loopkdc: hint: decrypt it: (umask 077; openssl pkey -in gateway-key.pem -out gateway-key.pem.plain)
",
    );
}

#[cfg(unix)]
#[test]
fn a_key_that_may_not_be_read_ends_with_77() {
    use crate::permission::{mode, unprivileged};
    let home = home(CONFIG);
    mode(&home.path().join("gateway-key.pem"), 0o000);
    for args in [&["gateway"][..], &["check", "--gateway"]] {
        let args = [args, &["--config", "config.toml"]].concat();
        let stderr = "\
loopkdc: error: config.toml:4:7: key gateway-key.pem may not be read by this user: gateway-key.pem blocks
  |
4 | key = \"gateway-key.pem\"
  |       ^^^^^^^^^^^^^^^^^
loopkdc: hint: see who may pass: ls -l gateway-key.pem
";
        assert_eq!(unprivileged(&home, &args), ended(77, stderr));
    }
}

/// Nobody may make a directory's socket, nor have a port below 1024, without being told how to come by it.
#[cfg(unix)]
#[test]
fn a_port_that_takes_a_privilege_ends_with_77() {
    use crate::permission::unprivileged;
    let home = home(&CONFIG.replace("127.0.0.1:0", "127.0.0.1:443"));
    let from = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if from.is_ok_and(|from| from.trim().parse().is_ok_and(|from: u16| from <= 443)) {
        return;
    }
    super::permission::mode(&home.path().join("gateway-key.pem"), 0o644);
    let ended = unprivileged(&home, &["gateway", "--config", "config.toml"]);
    let stderr = "\
loopkdc: error: cannot listen on 127.0.0.1:443: Permission denied (os error 13)
loopkdc: hint: ports below 1024 take root, systemd's socket, or a capability, as loopkdc-gateway.service has it:
loopkdc: hint: systemctl enable --now loopkdc-gateway.socket
loopkdc: hint: setcap cap_net_bind_service=+ep \"$(command -v loopkdc)\"
loopkdc: hint: or listen elsewhere: listen under [gateway] in the file
";
    assert_eq!(ended, self::ended(77, stderr));
}

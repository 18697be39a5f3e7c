//! `loopkdc import`: other clients' files become a configuration that `loopkdc check` takes.

use std::fs;
use std::process::Command;

use super::hints::assert_leads_on;
use super::{Ended, Home};

const KRB5_CONF: &str = "\
# A file as it may stand in /etc.
includedir conf.d
[libdefaults]
    default_realm = EXAMPLE.COM

[realms]
    EXAMPLE.COM = {
        kdc = https://kdcproxy.example.com/KdcProxy
        kdc = https://kdcproxy2.example.com:8443/tenant/kerberos
        kdc = dc1.example.com
        primary_kdc = https://primary.example.com/KdcProxy
        kpasswd_server = https://kdcproxy.example.com/KdcProxy
        admin_server = dc1.example.com
        http_anchors = FILE:ca.pem
    }
";
const INCLUDED: &str =
    "[realms]\n SUB.EXAMPLE.COM = {\n kdc = https://kdcproxy.example.com/KdcProxy\n }\n";

fn certificate() -> rcgen::Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
    certificate.self_signed(&key).unwrap()
}

/// A home with a krb5.conf and what it speaks of.
fn with_krb5_conf() -> Home {
    let home = Home::new("");
    fs::write(home.path().join("ca.pem"), certificate().pem()).unwrap();
    fs::write(home.path().join("krb5.conf"), KRB5_CONF).unwrap();
    fs::create_dir(home.path().join("conf.d")).unwrap();
    fs::write(home.path().join("conf.d/sub.conf"), INCLUDED).unwrap();
    home
}

/// What `loopkdc check` says of what `loopkdc import` wrote.
fn checked(home: &Home, written: &str) -> Ended {
    let file = home.path().join("written.toml");
    fs::write(&file, written).unwrap();
    home.loopkdc(&["check", "--config", "written.toml"])
}

#[test]
fn a_krb5_conf_becomes_a_configuration() {
    let home = with_krb5_conf();
    let dir = home.path().display();
    let ended = home.loopkdc(&["import", "krb5.conf"]);
    let stdout = format!(
        "\
# Made from \"krb5.conf\" by \"loopkdc import\", version {}.

[realms.\"EXAMPLE.COM\"]
proxies = [
    \"https://kdcproxy.example.com/KdcProxy\",
    \"https://kdcproxy2.example.com:8443/tenant/kerberos\",
]
primary-proxies = [
    \"https://primary.example.com/KdcProxy\",
]
kpasswd-proxies = [
    \"https://kdcproxy.example.com/KdcProxy\",
]
# Besides the system's certificates.
ca-file = \"{dir}/ca.pem\"

[realms.\"SUB.EXAMPLE.COM\"]
proxies = [
    \"https://kdcproxy.example.com/KdcProxy\",
]
",
        env!("CARGO_PKG_VERSION")
    );
    let stderr = format!(
        "loopkdc: warning: {dir}/krb5.conf:10: kdc = dc1.example.com: no KDC proxy; KDCs themselves belong to direct and kdcs\n\
         loopkdc: warning: conf.d/sub.conf:3: once loopkdc serves these realms, this line and its like should go: libkrb5 may show that proxy a password once more, and waits 24 s more for it if it is silent\n\
         loopkdc: hint: have all such lines made comments: loopkdc krb5-conf --install --only\n"
    );
    assert_eq!(
        ended,
        Ended {
            code: Some(0),
            stdout,
            stderr
        }
    );
    let checked = checked(&home, &ended.stdout);
    let realms = format!(
        "\
realm EXAMPLE.COM
  1. https://kdcproxy.example.com/KdcProxy
  2. https://kdcproxy2.example.com:8443/tenant/kerberos
  3. https://primary.example.com/KdcProxy (primary)
  kpasswd 1. https://kdcproxy.example.com/KdcProxy
  deadline 9 s, on-failure unreachable
  trusts besides the system's roots: {dir}/ca.pem (certificates: 1)
realm SUB.EXAMPLE.COM
  1. https://kdcproxy.example.com/KdcProxy
  deadline 9 s, on-failure unreachable
"
    );
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    assert!(checked.stdout.contains(&realms), "{}", checked.stdout);
}

#[test]
fn an_export_of_the_windows_registry_becomes_a_configuration() {
    let home = Home::new("");
    let export = "Windows Registry Editor Version 5.00\r\n\r\n\
        [HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Kerberos\\KdcProxy\\ProxyServers]\r\n\
        \"corp.example.com\"=\"<https kdcproxy.example.com:443:KdcProxy kdcproxy2.example.com />\"\r\n\
        \".example.com\"=\"<https kdcproxy.example.com />\"\r\n\
        \"example.org\"=\"https://kdcproxy.example.org\"\r\n";
    let octets = export.encode_utf16().flat_map(u16::to_le_bytes);
    let octets: Vec<u8> = b"\xff\xfe".iter().copied().chain(octets).collect();
    fs::write(home.path().join("proxies.reg"), octets).unwrap();
    let ended = home.loopkdc(&["import", "proxies.reg"]);
    let dir = home.path().display();
    let stderr = format!(
        "loopkdc: warning: {dir}/proxies.reg:6: \"example.org\"=\"https://kdcproxy.example.org\": not in the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />\n"
    );
    assert_eq!((ended.code, &ended.stderr), (Some(0), &stderr));
    assert!(
        ended
            .stdout
            .starts_with("# Made from \"proxies.reg\" by \"loopkdc import\", version "),
        "{ended:?}"
    );
    let checked = checked(&home, &ended.stdout);
    let realms = "\
realm CORP.EXAMPLE.COM
  1. https://kdcproxy.example.com/KdcProxy
  2. https://kdcproxy2.example.com/KdcProxy
  deadline 9 s, on-failure unreachable
realm *.EXAMPLE.COM
  1. https://kdcproxy.example.com/KdcProxy
  deadline 9 s, on-failure unreachable
";
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    assert!(checked.stdout.contains(realms), "{}", checked.stdout);
}

#[test]
fn a_file_that_says_nothing_of_proxies_ends_with_78() {
    let home = Home::new("");
    fs::write(
        home.path().join("krb5.conf"),
        "[realms]\nEXAMPLE.COM = {\nkdc = tcp/dc1\n}\n",
    )
    .unwrap();
    let ended = home.loopkdc(&["import", "krb5.conf"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
    let dir = home.path().display();
    let first = format!(
        "\
loopkdc: warning: {dir}/krb5.conf:3: realm EXAMPLE.COM names no KDC proxy, and is left out
loopkdc: error: krb5.conf names no KDC proxy that can be taken
loopkdc: hint: "
    );
    assert!(ended.stderr.starts_with(&first), "{ended:?}");
}

#[test]
fn a_file_that_cannot_be_read_ends_as_a_configuration_does() {
    let home = Home::new("");
    for (file, why) in [
        ("none.conf", "the file none.conf does not exist\n"),
        (
            "/dev/zero",
            "the file /dev/zero can't be read: file too large\n",
        ),
    ] {
        let ended = home.loopkdc(&["import", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
        let hint =
            "loopkdc: hint: name the krb5.conf of another client: loopkdc import /etc/krb5.conf\n";
        assert_eq!(ended.stderr, format!("loopkdc: error: {why}{hint}"));
    }
    let ended = home.loopkdc(&["import"]);
    assert_eq!(ended.code, Some(78));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_ends_with_77() {
    let home = Home::new("");
    fs::write(home.path().join("krb5.conf"), KRB5_CONF).unwrap();
    super::permission::mode(&home.path().join("krb5.conf"), 0o000);
    let ended = super::permission::unprivileged(&home, &["import", "krb5.conf"]);
    let why = "loopkdc: error: the file krb5.conf may not be read by this user: krb5.conf blocks\n";
    assert_eq!(ended.code, Some(77));
    assert!(ended.stderr.starts_with(why), "{ended:?}");
}

#[test]
fn a_file_of_remote_desktop_takes_its_realm_from_the_command_line() {
    let home = Home::new("");
    let dir = home.path().display();
    let rdp = "full address:s:rds.example.com\r\nkdcproxyname:s:kps.example.com:8443\r\n";
    let octets = rdp.encode_utf16().flat_map(u16::to_le_bytes);
    let octets: Vec<u8> = b"\xff\xfe".iter().copied().chain(octets).collect();
    fs::write(home.path().join("desktop.rdp"), octets).unwrap();
    let ended = home.loopkdc(&["import", "desktop.rdp"]);
    let stderr = format!(
        "\
loopkdc: warning: {dir}/desktop.rdp:2: kdcproxyname:s:kps.example.com:8443: no realm stands with it, and no --realm says one
loopkdc: error: desktop.rdp names no KDC proxy that can be taken
loopkdc: hint: say which realm the proxy is for: loopkdc import --realm EXAMPLE.COM desktop.rdp
"
    );
    assert_eq!(
        (ended.code, ended.stdout, ended.stderr),
        (Some(78), String::new(), stderr)
    );
    let ended = home.loopkdc(&["import", "--realm", "EXAMPLE.COM", "desktop.rdp"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let checked = checked(&home, &ended.stdout);
    let realm = "realm EXAMPLE.COM\n  1. https://kps.example.com:8443/KdcProxy\n";
    assert!(checked.stdout.contains(realm), "{checked:?}");
}

/// A profile of Apple's Kerberos extension.
const PROFILE: &str = "<?xml version=\"1.0\"?>
<plist version=\"1.0\"><dict>
<key>preferredKDCs</key><array><string>kkdcp://kps.example.com/KdcProxy</string></array>
<key>Realm</key><string>EXAMPLE.COM</string>
</dict></plist>
";

/// What a command says on stdout.
fn shell(home: &Home, line: &str) -> String {
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", line]).current_dir(home.path()).output();
    let ended = Ended::new(&output.unwrap());
    assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
    ended.stdout
}

#[test]
fn a_profile_that_is_no_text_is_told_with_what_makes_it_one() {
    let home = Home::new("");
    fs::write(home.path().join("plain"), PROFILE).unwrap();
    shell(
        &home,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -subj /CN=x -out cert",
    );
    let signed = "-signer cert -inkey key -nodetach -outform DER -in plain -out \"it's signed\"";
    for (making, form) in [
        (
            "plistutil -f bin -i plain -o \"it's signed\"".to_owned(),
            "in Apple's binary form",
        ),
        (format!("openssl smime -sign {signed}"), "signed"),
        // In pieces, each with a head.
        (format!("openssl cms -sign -stream {signed}"), "signed"),
    ] {
        shell(&home, &making);
        let ended = home.loopkdc(&["import", "it's signed"]);
        let error = format!("loopkdc: error: it's signed is {form}\n");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
        let hints = ended.stderr.strip_prefix(&error);
        let mut hints = hints.unwrap_or_else(|| panic!("{ended:?}")).lines();
        let made = hints
            .next()
            .and_then(|hint| hint.split_once(": make a text of it: "));
        shell(&home, made.unwrap().1);
        let again = hints
            .next_back()
            .and_then(|hint| hint.split_once(": and then: loopkdc"));
        let again = format!("{}{}", env!("CARGO_BIN_EXE_loopkdc"), again.unwrap().1);
        let checked = checked(&home, &shell(&home, &again));
        let realm = "realm EXAMPLE.COM\n  1. https://kps.example.com/KdcProxy\n";
        assert!(checked.stdout.contains(realm), "{checked:?}");
        for hint in ended.stderr.lines().skip(1) {
            assert_leads_on(hint.strip_prefix("loopkdc: hint: ").unwrap());
        }
    }
}

#[test]
fn a_policy_without_direct_is_a_configuration_without_it() {
    let home = Home::new("");
    let policy = "example.com : <https kps.example.com />\nForceProxy : 1\n";
    fs::write(home.path().join("policy.txt"), policy).unwrap();
    let ended = home.loopkdc(&["import", "policy.txt"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let defaults =
        "\n[defaults]\n# With ForceProxy, Windows asks no KDC itself.\ndirect = \"never\"\n";
    assert!(ended.stdout.contains(defaults), "{ended:?}");
    assert_eq!(checked(&home, &ended.stdout).code, Some(0));
}

/// What would be a line of ours, if a name or a value could begin one.
const FORGED: &str = "x\nloopkdc: hint: forged";

#[test]
fn a_name_of_a_file_begins_no_line() {
    let home = Home::new("");
    let conf = "includedir conf.d\n[realms]\nA = {\nkdc = https://p/k\n}\n";
    fs::write(home.path().join("krb5.conf"), conf).unwrap();
    fs::create_dir_all(home.path().join(format!("conf.d/{FORGED}.conf"))).unwrap();
    fs::write(home.path().join(FORGED), "").unwrap();
    let missing = format!("{FORGED}, too");
    for file in ["krb5.conf", FORGED, &missing] {
        let ended = home.loopkdc(&["import", file]);
        assert!(ended.stderr.contains("forged"), "{ended:?}");
        assert!(
            !ended.stderr.contains("\nloopkdc: hint: forged"),
            "{ended:?}"
        );
    }
    // Whoever wrote the configuration may have chosen such a name, too.
    let config = format!("{}ca-file = {FORGED:?}\n", super::REALM);
    let file = home.path().join(format!("{FORGED}.toml"));
    fs::write(&file, config).unwrap();
    fs::write(home.path().join(FORGED), certificate().pem()).unwrap();
    let ended = home.loopkdc(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stdout.contains("\nloopkdc:"), "{ended:?}");
}

#[test]
fn no_password_of_the_file_is_shown() {
    let home = Home::new("");
    let proxy = "jane:s3cret@kdcproxy.example.com";
    let long = "x".repeat(200);
    for (place, text) in [
        (
            "krb5.conf",
            format!("[realms]\nA.EXAMPLE = {{\n kdc = https://{proxy}/KdcProxy\n}}\n"),
        ),
        (
            "krb5.conf",
            format!("[realms]\nA.EXAMPLE = {{\n kdc = https://h/\n kdc = {proxy}\n}}\n"),
        ),
        (
            "krb5.conf",
            format!("[realms]\nA.EXAMPLE = {{\n kdc = https://{proxy}{long}@h/\n}}\n"),
        ),
        (
            "policy.txt",
            format!("A.EXAMPLE <https {proxy}:443:KdcProxy />\n"),
        ),
        (
            "policy.txt",
            format!("A.EXAMPLE <https h:443,{proxy}:443:KdcProxy />\n"),
        ),
        ("server.rdp", format!("kdcproxyname:s:{proxy}\n")),
    ] {
        fs::write(home.path().join(place), &text).unwrap();
        let ended = home.loopkdc(&["import", "--realm", "A.EXAMPLE", place]);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains("***"), "{text}{said}");
        assert!(
            !said.contains("s3cret") && !said.contains("jane"),
            "{text}{said}"
        );
    }
}

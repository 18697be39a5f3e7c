//! Real clients, by what was installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::etc::{DEBIANS, configure, furnish, krb5_conf, with_program};
use crate::support::client::{Client, Outcome};
use crate::support::heimdal::heimdal;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::nameserver::NameServer;
use crate::support::netns::isolated;
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

const REALM: &str = "EXAMPLE.COM";
const PORTS: &str = "[listen]\nkdc = [\"127.0.0.1:8888\"]\nkpasswd = [\"127.0.0.1:8464\"]\n";

/// A realm behind its proxy; what the configuration says of it.
pub(crate) fn realm(dir: &Path) -> (Realm, KdcProxy, String) {
    let realm = Realm::start(dir, REALM, 88, Preauth::Spake);
    let proxy = KdcProxy::of(Maker::Ours, dir, 8443, &[Route::to(&realm)]);
    let text = stanza(REALM, &proxy.url(), &proxy);
    (realm, proxy, text)
}

fn kinit(client: &Client) -> Outcome {
    client.run("kinit user@EXAMPLE.COM", &[PASSWORD])
}

#[test]
fn mit_goes_where_the_configuration_listens() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        let names = NameServer::start();
        let (realm, _proxy, text) = realm(dir.path());
        configure(&text);
        krb5_conf(&["--install"]).well();
        let client = Client::by_etc(dir.path());
        let loopkdc = Loopkdc::with_config(dir.path(), &text);
        let done = kinit(&client).succeeds();
        assert!(
            done.trace
                .contains("Sending initial UDP request to dgram 127.0.0.1:88\n"),
            "{}",
            done.trace
        );
        let typed = [PASSWORD, "a newer horse", "a newer horse"];
        client.run("kpasswd user@EXAMPLE.COM", &typed).succeeds();
        assert_eq!(realm.key_version("user"), 2);
        drop(loopkdc);
        // On other ports, after a change of the configuration.
        let text = format!("{PORTS}{text}");
        configure(&text);
        krb5_conf(&["--install"]).well();
        let _loopkdc = Loopkdc::with_config(dir.path(), &text);
        let done = client
            .run("kinit user@EXAMPLE.COM", &["a newer horse"])
            .succeeds();
        assert!(
            done.trace
                .contains("Sending initial UDP request to dgram 127.0.0.1:8888\n"),
            "{}",
            done.trace
        );
        let back = ["a newer horse", PASSWORD, PASSWORD];
        client.run("kpasswd user@EXAMPLE.COM", &back).succeeds();
        krb5_conf(&["--install", "--inline"]).well();
        kinit(&client).succeeds();
        assert_eq!(names.queries(), [""; 0]);
        krb5_conf(&["--remove"]).well();
        kinit(&client).fails_with("Cannot find KDC for realm \"EXAMPLE.COM\"");
        assert_eq!(fs::read_to_string("/etc/krb5.conf").unwrap(), DEBIANS);
    });
}

#[test]
fn a_machine_without_a_krb5_conf_needs_no_more() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), None);
        let (_realm, _proxy, text) = realm(dir.path());
        configure(&text);
        krb5_conf(&["--install"]).well();
        let _loopkdc = Loopkdc::with_config(dir.path(), &text);
        let client = Client::by_etc(dir.path());
        client.run("kinit user", &[PASSWORD]).succeeds();
        krb5_conf(&["--remove"]).well();
        assert!(!Path::new("/etc/krb5.conf").exists());
    });
}

#[test]
fn heimdal_reads_what_is_inline() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(
            dir.path(),
            Some(&DEBIANS.replace("ATHENA.MIT.EDU", "OTHER.TEST")),
        );
        let (_realm, _proxy, text) = realm(dir.path());
        configure(&text);
        krb5_conf(&["--install", "--drop-in"]).well();
        let _loopkdc = Loopkdc::with_config(dir.path(), &text);
        let client = Client::by_etc(dir.path());
        let args = ["--password-file=STDIN", "user@EXAMPLE.COM"];
        let kinit = || heimdal(&client, "kinit", &args, &[PASSWORD]);
        // An includedir has it read nothing.
        kinit().fails_with("unable to reach any KDC in realm EXAMPLE.COM");
        krb5_conf(&["--install", "--inline"]).well();
        kinit().succeeds();
        client
            .run("klist", &[])
            .says("krbtgt/EXAMPLE.COM@EXAMPLE.COM");
        krb5_conf(&["--remove"]).well();
        kinit().fails_with("unable to reach any KDC in realm EXAMPLE.COM");
        // It reads what stands above an include.
        let text = fs::read_to_string("/etc/krb5.conf").unwrap();
        fs::write("/etc/krb5.conf", format!("include /etc/other\n{text}")).unwrap();
        fs::write("/etc/other", "").unwrap();
        krb5_conf(&["--install", "--inline"]);
        kinit().succeeds();
    });
}

#[test]
fn java_reads_either() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        configure(&format!("{PORTS}{}", crate::CONFIG));
        let program = dir.path().join("Read.java");
        let text = "class Read { public static void main(String[] args) throws Exception { System.out.println(sun.security.krb5.Config.getInstance().getKDCList(\"EXAMPLE.COM\") + \" \" + sun.security.krb5.Config.getInstance().getDefaultRealm()); } }";
        fs::write(&program, text).unwrap();
        let reads = || {
            let mut command = Command::new("java");
            command.args([
                "--add-exports",
                "java.security.jgss/sun.security.krb5=ALL-UNNAMED",
            ]);
            let output = with_program(command).arg(&program).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            said + &String::from_utf8_lossy(&output.stderr)
        };
        for words in [["--install", "--drop-in"], ["--install", "--inline"]] {
            krb5_conf(&words).well();
            assert_eq!(reads(), "127.0.0.1:8888 ATHENA.MIT.EDU\n");
        }
        krb5_conf(&["--remove"]).well();
        krb5_conf(&["--install", "--drop-in"]).well();
        // What is told of an include behind a section.
        krb5_conf(&["--remove"]).well();
        fs::create_dir("/etc/krb5.conf.d").unwrap();
        fs::write(
            "/etc/krb5.conf",
            format!("{DEBIANS}includedir /etc/krb5.conf.d/\n"),
        )
        .unwrap();
        let ended = krb5_conf(&["--install", "--drop-in"]);
        let told = "loopkdc: warning: /etc/krb5.conf:8: the include stands behind the first section, and Java gives the whole file up for that\n";
        assert!(ended.stderr.starts_with(told), "{ended:?}");
        assert!(
            reads().contains("krb5.conf loading failed")
                || reads().contains("Illegal config content"),
            "{}",
            reads()
        );
    });
}

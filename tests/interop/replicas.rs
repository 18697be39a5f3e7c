//! After a change of a password, where a replica has not heard of it: what works directly works through the tunnel.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use loopkdc::wire::{Framed, GeneralString, IntegerFlags, KdcProxyMessage, kkdcp};
use tempfile::{TempDir, tempdir};

use crate::office::{HOST, PORT, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::heimdal::heimdal;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::process::{PATIENCE, Process};
use crate::support::proxy::{self, KdcProxy};
use crate::support::realm::{PASSWORD, Preauth, Realm, Replica};

const NEW: &str = "a newer horse";

/// A realm with a replica that is asked first and hears of no change.
struct Scene {
    realm: Realm,
    replica: Replica,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, HOST, Preauth::Spake);
        let replica = realm.replica(HOST + 1);
        Self {
            realm,
            replica,
            dir,
        }
    }

    /// The replica and the primary, as configurations have them.
    fn kdcs(&self) -> String {
        let (replica, primary) = (self.replica.address, self.realm.kdc_address());
        format!("kdcs = [\"{replica}\", {{ address = \"{primary}\", primary = true }}]\n")
    }

    /// A gateway in front of these.
    fn gateway(&self, port: u16, kdcs: &str) -> KdcProxy {
        let dir = self.dir.path().join(port.to_string());
        fs::create_dir(&dir).unwrap();
        proxy::certify(&dir);
        let kpasswd = self.realm.kpasswd_address();
        let realm = format!("[realms.\"{REALM}\"]\n{kdcs}kpasswd-servers = [\"{kpasswd}\"]\n");
        KdcProxy::gateway(&dir, port, &(proxy::gateway(port, &[]) + &realm))
    }

    /// A gateway in front of both.
    fn gateway_of_both(&self) -> KdcProxy {
        self.gateway(PORT, &self.kdcs())
    }

    fn loopkdc(&self, gateway: &KdcProxy, more: &str) -> Loopkdc {
        let text = stanza(REALM, &gateway.url(), gateway) + more;
        Loopkdc::with_config(self.dir.path(), &text)
    }

    fn client(&self) -> Client {
        Client::by_drop_in(self.dir.path(), &[REALM])
    }

    /// What anybody can do who asks the KDCs themselves.
    fn changes_passwords(&self, client: &Client) {
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        self.replica.kdc.wait_for("ISSUE");
        let expired = client.run("kinit expired@EXAMPLE.COM", &[PASSWORD, NEW, NEW]);
        expired.says("Password expired").succeeds();
        let again = client.run("kinit expired@EXAMPLE.COM", &[NEW]);
        again.succeeds();
        let kpasswd = client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, NEW, NEW]);
        kpasswd.succeeds();
        client.run("kinit user@EXAMPLE.COM", &[NEW]).succeeds();
        for user in ["user", "expired"] {
            assert_eq!(self.realm.key_version(user), 2);
        }
    }

    /// A wrong password counts once, at either, and is said to be wrong.
    fn counts_a_wrong_password_once(&self, client: &Client) {
        let wrong = client.run("kinit user@EXAMPLE.COM", &["battery staple"]);
        wrong.fails_with("Password incorrect");
        let failed = [
            self.realm.failed_attempts("user"),
            self.replica.failed_attempts("user"),
        ];
        assert_eq!(failed, [1, 0]);
    }
}

#[test]
fn directly() {
    isolated(|| {
        let scene = Scene::new();
        let [replica, primary] = [scene.replica.address, scene.realm.kdc_address()];
        let kpasswd = scene.realm.kpasswd_address();
        let stanza = |primary| {
            format!(
                "[realms]\n {REALM} = {{\n kdc = {replica}\n primary_kdc = {primary}\n kpasswd_server = {kpasswd}\n }}\n"
            )
        };
        let client = Client::new(scene.dir.path(), &[stanza(primary)]);
        scene.changes_passwords(&client);
        let alone = tempdir().unwrap();
        let client = Client::new(alone.path(), &[stanza(replica)]);
        let old = client.run("kinit user@EXAMPLE.COM", &[NEW]);
        old.fails_with("Password incorrect");
    });
}

#[test]
fn through_one_gateway() {
    isolated(|| {
        let scene = Scene::new();
        let gateway = scene.gateway_of_both();
        let loopkdc = scene.loopkdc(&gateway, "");
        let client = scene.client();
        scene.changes_passwords(&client);
        scene.counts_a_wrong_password_once(&client);
        let realm = &loopkdc.status()["realms"][0];
        assert!(realm["primary_until"].is_u64(), "{realm}");
    });
}

/// Who does not say that he has changed his password is known by his address.
#[test]
fn from_a_native_client_at_the_gateway() {
    isolated(|| {
        let scene = Scene::new();
        let gateway = scene.gateway_of_both();
        let client = Client::by_native_kkdcp(scene.dir.path(), &[REALM], &gateway);
        scene.changes_passwords(&client);
        scene.counts_a_wrong_password_once(&client);
    });
}

/// A request without a password, as each of these clients makes it.
const AS_REQS: [&[u8]; 3] = [
    include_bytes!("../vectors/mit-plain.request"),
    include_bytes!("../vectors/heimdal-plain.request"),
    include_bytes!("../vectors/java-plain.request"),
];

/// Posts this to the gateway from this address.
fn post(scene: &Scene, gateway: &KdcProxy, from: &str, as_req: &[u8], dclocator_hint: u32) {
    let envelope = kkdcp::encode(&KdcProxyMessage {
        kerb_message: Framed::wrap(as_req).as_bytes(),
        target_domain: Some(GeneralString::new(REALM.as_bytes())),
        dclocator_hint: Some(IntegerFlags(dclocator_hint)),
    });
    let [body, answer] = ["body", "answer"].map(|file| scene.dir.path().join(file));
    fs::write(&body, envelope).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["-sf", "-m", "20", "--interface", from, "--cacert"]);
    curl.arg(&gateway.ca_file).arg("--data-binary");
    curl.arg(format!("@{}", body.display()));
    let status = curl.arg("-o").arg(answer).arg(gateway.url()).status();
    assert!(
        status
            .expect("curl starts; tests/run installs it")
            .success()
    );
}

#[test]
fn who_else_asks_the_gateway_goes_where_others_go() {
    isolated(|| {
        let scene = Scene::new();
        let gateway = scene.gateway_of_both();
        let client = Client::by_native_kkdcp(scene.dir.path(), &[REALM], &gateway);
        client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
        let typed = [PASSWORD, NEW, NEW];
        client.run("kpasswd user@EXAMPLE.COM", &typed).succeeds();
        let count = |kdc: &Process| kdc.count(" AS_REQ ");
        let asks = |from: &str, as_req: &[u8], hint: u32, kdc: &Process, other: &Process| {
            let before = [kdc, other].map(count);
            post(&scene, &gateway, from, as_req, hint);
            kdc.wait_for_count(" AS_REQ ", before[0] + 1);
            assert_eq!(
                [kdc, other].map(count),
                [before[0] + 1, before[1]],
                "{from} {hint}"
            );
        };
        let [replica, primary] = [&scene.replica.kdc, &scene.realm.kdc];
        // Its log comes late and in order: of both tickets, the last that it gave.
        replica.wait_for_count("ISSUE", 2);
        let [first, second, third] = AS_REQS;
        asks("127.0.0.7", first, 0, replica, primary);
        asks("127.0.0.1", second, 0, primary, replica);
        // DS_FORCE_REDISCOVERY: another one than the replica.
        asks("127.0.0.7", third, 1, primary, replica);
    });
}

/// Its host is gone, or so busy that it says nothing.
#[test]
fn a_primary_that_is_silent_costs_one_login() {
    isolated(|| {
        let scene = Scene::new();
        let gateway = scene.gateway_of_both();
        let _loopkdc = scene.loopkdc(&gateway, "");
        let client = scene.client();
        let log_in = |password| client.run("kinit user@EXAMPLE.COM", &[password]);
        let typed = [PASSWORD, NEW, NEW];
        client.run("kpasswd user@EXAMPLE.COM", &typed).succeeds();
        log_in(NEW).succeeds();
        let replica = &scene.replica.kdc;
        replica.wait_for("ISSUE");
        let asked = replica.count(" AS_REQ ");
        scene.realm.kdc.signal("STOP");
        // It may have the request.
        log_in(NEW).fails_with("Cannot contact any KDC");
        assert_eq!(replica.count(" AS_REQ "), asked);
        // All that the replica has heard of is the old one.
        log_in(PASSWORD).within(Duration::from_secs(1)).succeeds();
        scene.realm.kdc.signal("CONT");
        // Soon it is tried again, and knows better.
        let until = Instant::now() + PATIENCE;
        while log_in(PASSWORD).success {
            assert!(Instant::now() < until, "the primary is not asked again");
        }
        assert_eq!(scene.realm.failed_attempts("user"), 1);
        log_in(NEW).within(Duration::from_secs(1)).succeeds();
    });
}

#[test]
fn by_heimdals_clients() {
    isolated(|| {
        let scene = Scene::new();
        let gateway = scene.gateway_of_both();
        let _loopkdc = scene.loopkdc(&gateway, "");
        let mut client = scene.client();
        client.default_realm(REALM);
        let user = "user@EXAMPLE.COM";
        let typed = [PASSWORD, NEW, NEW];
        let kpasswd = heimdal(&client, "kpasswd", &[user], &typed);
        kpasswd.says("Success").succeeds();
        let args = ["--password-file=STDIN", user];
        heimdal(&client, "kinit", &args, &[NEW]).succeeds();
    });
}

/// The primary is behind a proxy of its own.
#[test]
fn through_two_proxies() {
    isolated(|| {
        let scene = Scene::new();
        let others = scene.gateway(PORT, &format!("kdcs = [\"{}\"]\n", scene.replica.address));
        let kdc = format!("kdcs = [\"{}\"]\n", scene.realm.kdc_address());
        let primary = scene.gateway(PORT + 1, &kdc);
        let authorities = [&others, &primary].map(|proxy| fs::read_to_string(&proxy.ca_file));
        let authorities = authorities.map(Result::unwrap).concat();
        fs::write(&others.ca_file, authorities).unwrap();
        let more = format!("primary-proxies = [\"{}\"]\n", primary.url());
        let _loopkdc = scene.loopkdc(&others, &more);
        let client = scene.client();
        scene.changes_passwords(&client);
        scene.counts_a_wrong_password_once(&client);
    });
}

#[test]
fn at_the_office() {
    isolated(|| {
        let scene = Scene::new();
        // It leads nowhere, and is not asked.
        let gateway = scene.gateway(PORT, "kdcs = [\"127.0.0.99\"]\n");
        let kpasswd = scene.realm.kpasswd_address();
        let direct = format!(
            "direct = \"prefer\"\n{}kpasswd-servers = [\"{kpasswd}\"]\n",
            scene.kdcs()
        );
        let _loopkdc = scene.loopkdc(&gateway, &direct);
        let client = scene.client();
        scene.changes_passwords(&client);
        scene.counts_a_wrong_password_once(&client);
        gateway.was_asked(0);
    });
}

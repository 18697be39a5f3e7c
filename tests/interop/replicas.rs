//! After a change of a password, where a replica has not heard of it: what works directly works through the tunnel.

use std::fs;

use tempfile::{TempDir, tempdir};

use crate::office::{HOST, PORT, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
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

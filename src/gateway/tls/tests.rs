use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, date_time_ymd};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::gateway::GatewayConfig;
use crate::gateway::files::RELOAD_INTERVAL;
use crate::relay::failure::Exit;

/// A certificate that is valid until this year, and its key, in PEM.
fn pair(until: i32) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (certificate(until, &key), key)
}

fn certificate(until: i32, key: &KeyPair) -> String {
    let mut params = CertificateParams::new(["gateway".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 2, 3);
    params.not_after = date_time_ymd(until, 2, 3);
    params.self_signed(key).unwrap().pem()
}

/// TLS with a certificate that is valid until 2049-02-03.
pub(in crate::gateway) fn until_2049() -> ServerTls {
    let (certificate, key) = pair(2049);
    TlsSetup::new(&certificate, &key.serialize_pem())
        .load()
        .unwrap()
}

struct TlsSetup {
    dir: TempDir,
    files: TlsFiles,
}

impl TlsSetup {
    fn new(certificate: &str, key: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: dir.path().join("gateway.pem"),
            key: dir.path().join("gateway-key.pem"),
            client_ca: None,
            client_crl: None,
            require_client_cert: false,
        };
        let site = Self { dir, files };
        site.write(certificate, key);
        site
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.files.certificate, certificate).unwrap();
        fs::write(&self.files.key, key).unwrap();
    }

    fn with_client_ca(mut self, text: &str) -> Self {
        let path = self.dir.path().join("clients.pem");
        fs::write(&path, text).unwrap();
        self.files.client_ca = Some(path);
        self
    }

    fn load(&self) -> Result<ServerTls, ConfigError> {
        ServerTls::build(&self.files, &self.files.read()?)
    }

    /// What a configuration that names the files is refused with.
    fn error(&self) -> Failure {
        let TlsFiles {
            certificate,
            key,
            client_ca,
            ..
        } = &self.files;
        self.load().unwrap_err();
        let mut text = format!("[gateway]\ncertificate = {certificate:?}\nkey = {key:?}\n");
        text.extend(
            client_ca
                .iter()
                .map(|ca| format!("client-ca-file = {ca:?}\n")),
        );
        GatewayConfig::parse(Path::new("/nowhere/gateway.toml"), &text).unwrap_err()
    }
}

/// The lines that name the files.
const CERTIFICATE: usize = 2;
const KEY: usize = 3;
const CLIENT_CA: usize = 4;

fn line(error: &Failure) -> usize {
    let file = error.finding().subject.file.as_ref();
    file.unwrap().line.unwrap()
}

fn armour(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits = three
            .iter()
            .fold(0, |bits, octet| bits << 8 | u32::from(*octet));
        let bits = bits << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit > three.len() {
                '='
            } else {
                DIGITS[value].into()
            });
        }
    }
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// The key in the older form that PKCS#8 wraps (RFC 5208 5).
fn unwrapped(key: &KeyPair) -> Vec<u8> {
    use der::{Decode, asn1::AnyRef};
    let pkcs8 = key.serialize_der();
    let mut rest = AnyRef::from_der(&pkcs8).unwrap().value();
    for _ in 0..2 {
        rest = AnyRef::from_der_partial(rest).unwrap().1;
    }
    AnyRef::from_der_partial(rest).unwrap().0.value().to_vec()
}

#[test]
fn keys_are_taken_in_each_form() {
    let (certificate_of_ec, ec) = pair(2099);
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate_of_rsa = certificate(2099, &rsa);
    for (certificate, key) in [
        (&certificate_of_ec, ec.serialize_pem()),
        (
            &certificate_of_ec,
            armour("EC PRIVATE KEY", &unwrapped(&ec)),
        ),
        (&certificate_of_rsa, rsa.serialize_pem()),
        (
            &certificate_of_rsa,
            armour("RSA PRIVATE KEY", &unwrapped(&rsa)),
        ),
    ] {
        TlsSetup::new(certificate, &key).load().unwrap();
    }
}

#[test]
fn what_is_wrong_is_told_of_the_file_that_is_to_be_mended() {
    let ((certificate, key), (other, _)) = (pair(2099), pair(2099));
    let key = key.serialize_pem();
    let encrypted = armour("ENCRYPTED PRIVATE KEY", b"...");
    let older = key.replace("-----\nM", "-----\nProc-Type: 4,ENCRYPTED\n\nM");
    let nonsense = armour("CERTIFICATE", b"...");
    for (certificate, key, file, text, hint) in [
        (
            "",
            &*key,
            CERTIFICATE,
            "no certificate",
            "begins with -----BEGIN",
        ),
        (&*key, &*key, CERTIFICATE, "no certificate", ""),
        (
            "-----BEGIN CERTIFICATE-----\n",
            &*key,
            CERTIFICATE,
            "not PEM",
            "",
        ),
        (&*nonsense, &*key, CERTIFICATE, "of no use", ""),
        (
            &*certificate,
            "",
            KEY,
            "no private key",
            "openssl pkey -inform der",
        ),
        (
            &*certificate,
            "-----BEGIN PRIVATE KEY-----\n",
            KEY,
            "not PEM",
            "",
        ),
        (
            &*certificate,
            &*encrypted,
            KEY,
            "is encrypted",
            "openssl pkey -in",
        ),
        (
            &*certificate,
            &*older,
            KEY,
            "is encrypted",
            "openssl pkey -in",
        ),
        (
            &*certificate,
            &armour("PRIVATE KEY", b"..."),
            KEY,
            "of no use",
            "",
        ),
        (&*other, &*key, KEY, "not the one of", "-pubout"),
    ] {
        let error = TlsSetup::new(certificate, key).error();
        assert_eq!(line(&error), file, "{error}");
        assert!(error.message().contains(text), "{error}");
        let hints = error.hints();
        assert_eq!(
            !hints.is_empty(),
            !hint.is_empty() || text == "no certificate",
            "{error}"
        );
        assert!(hints.concat().contains(hint), "{text}");
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    let (certificate, key) = pair(2099);
    let site = TlsSetup::new(&certificate, &key.serialize_pem());
    fs::remove_file(&site.files.key).unwrap();
    let error = site.error();
    assert_eq!(line(&error), KEY);
    assert_eq!(error.exit(), Exit::Config);
    let words = "gateway-key.pem does not exist\n";
    assert!(error.message().contains(words), "{error}");
    fs::remove_file(&site.files.certificate).unwrap();
    fs::create_dir(&site.files.certificate).unwrap();
    let error = site.error();
    assert_eq!(line(&error), CERTIFICATE);
    assert!(error.message().contains("can't be read"), "{error}");
}

#[test]
fn authorities_of_clients_are_checked_too() {
    let (certificate, key) = pair(2099);
    let site = TlsSetup::new(&certificate, &key.serialize_pem()).with_client_ca(&certificate);
    site.load().unwrap();
    for (text, part) in [
        ("", "no certificate"),
        (&armour("CERTIFICATE", b"..."), "certificate 1 is of no use"),
    ] {
        let error = TlsSetup::new(&certificate, &key.serialize_pem())
            .with_client_ca(text)
            .error();
        assert_eq!(line(&error), CLIENT_CA);
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_certificate_out_of_its_time_is_a_warning() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // A year beyond 2049 is written otherwise (RFC 5280 4.1.2.5).
    for (until, last) in [(2049, 2_495_923_200), (2050, 2_527_459_200)] {
        let (certificate, key) = pair(until);
        let tls = TlsSetup::new(&certificate, &key.serialize_pem()).load();
        let validity = tls.unwrap().validity.unwrap();
        assert_eq!(validity.not_after(), at(last));
        assert_eq!(validity.warning(at(last)), None);
        let expired = format!("the certificate expired at {until}-02-03T00:00:00Z");
        assert_eq!(validity.warning(at(last + 1)), Some(expired));
        let early = "the certificate is valid from 2001-02-03T00:00:00Z only";
        assert_eq!(validity.warning(at(900_000_000)), Some(early.to_owned()));
    }
    assert_eq!(Validity::of(b""), None);
}

/// Waits until the certificate in use is another one, and says until which year it is valid.
async fn replaced(certificates: &mut super::super::Certificates) -> String {
    let patience = Duration::from_secs(20);
    timeout(patience, certificates.changed())
        .await
        .unwrap()
        .unwrap();
    let tls = certificates.borrow_and_update();
    tls.validity.unwrap().until()[..4].to_owned()
}

#[tokio::test(start_paused = true)]
async fn files_that_change_are_read_again_and_half_of_a_pair_is_waited_with() {
    let (certificate, key) = pair(2091);
    let site = TlsSetup::new(&certificate, &key.serialize_pem());
    let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    let mut current = follow(site.files.clone(), &stop, reload).unwrap();
    let (certificate, key) = pair(2092);
    site.write(&certificate, &key.serialize_pem());
    assert_eq!(replaced(&mut current).await, "2092");
    let (certificate, key) = pair(2093);
    fs::write(&site.files.certificate, &certificate).unwrap();
    let unchanged = timeout(20 * RELOAD_INTERVAL, current.changed()).await;
    assert!(unchanged.is_err(), "half of a pair was used");
    fs::remove_file(&site.files.key).unwrap();
    let next = site.dir.path().join("next");
    fs::write(&next, key.serialize_pem()).unwrap();
    fs::rename(next, &site.files.key).unwrap();
    assert_eq!(replaced(&mut current).await, "2093");
    stop.cancel();
    let ended = timeout(Duration::from_secs(20), current.changed()).await;
    assert!(ended.unwrap().is_err(), "it goes on");
}

#[tokio::test(start_paused = true)]
async fn files_are_read_at_once_when_asked_for() {
    let (certificate, key) = pair(2091);
    let site = TlsSetup::new(&certificate, &key.serialize_pem());
    let (stop, reload) = (CancellationToken::new(), Arc::new(Notify::new()));
    let mut current = follow(site.files.clone(), &stop, Arc::clone(&reload)).unwrap();
    // The first look is at once: nothing is new to it.
    reload.notify_one();
    assert!(
        timeout(Duration::from_millis(50), current.changed())
            .await
            .is_err()
    );
    let (certificate, key) = pair(2092);
    site.write(&certificate, &key.serialize_pem());
    let asked = Instant::now();
    reload.notify_one();
    assert_eq!(replaced(&mut current).await, "2092");
    assert!(asked.elapsed() < RELOAD_INTERVAL / 2);
}

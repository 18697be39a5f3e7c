use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs;

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A root, an authority below it and a leaf of that.
struct Chain {
    root: Authority,
    between: Authority,
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

fn chain() -> Chain {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = Authority::self_signed(params.clone(), KeyPair::generate().unwrap()).unwrap();
    // Keys of more than 127 octets too, as their length is written in another way.
    let between = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let between = Authority::signed_by(params, between, &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["proxy.example".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &between).unwrap();
    let leaf = leaf.der().clone();
    Chain {
        root,
        between,
        leaf,
        key,
    }
}

fn pin(key: &impl PublicKeyData) -> Pin {
    Pin::of(&key.subject_public_key_info())
}

fn verify(chain: &Chain, also_sent: &[CertificateDer<'static>], pins: &[Pin]) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(chain.root.der().clone()).unwrap();
    let verifier = Verifier {
        roots: Arc::new(roots),
        itself: Vec::new(),
        algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        pins: pins.to_vec(),
        presented: Mutex::default(),
    };
    let sent = [&[chain.between.der().clone()][..], also_sent].concat();
    let name = ServerName::try_from("proxy.example").unwrap();
    let verified = verifier.verify_server_cert(&chain.leaf, &sent, &name, &[], UnixTime::now());
    let presented = verifier.presented();
    assert_eq!(presented.certificates.len(), 1 + sent.len());
    assert_eq!(presented.certificates[0], chain.leaf);
    verified.map(drop)
}

#[test]
fn any_key_of_the_chain_may_be_pinned() {
    let chain = chain();
    let other = Pin([7; 32]);
    for own in [
        pin(&chain.key),
        pin(chain.between.key()),
        pin(chain.root.key()),
    ] {
        verify(&chain, &[], std::slice::from_ref(&own)).unwrap();
        verify(&chain, &[], &[other.clone(), own]).unwrap();
    }
    let unpinned = verify(&chain, &[], &[other]).unwrap_err();
    let Error::InvalidCertificate(CertificateError::Other(why)) = unpinned else {
        panic!("{unpinned}");
    };
    assert_eq!(why.0.downcast_ref(), Some(&CertificateFault::NotPinned));
}

#[test]
fn a_pinned_certificate_that_vouches_for_nobody_says_nothing() {
    let (chain, pinned) = (chain(), chain());
    let sent = [
        pinned.leaf.clone(),
        pinned.between.der().clone(),
        pinned.root.der().clone(),
    ];
    let pins = [
        pin(&pinned.key),
        pin(pinned.between.key()),
        pin(pinned.root.key()),
    ];
    assert!(verify(&chain, &sent, &pins).is_err());
}

#[test]
fn a_pin_is_checked_besides_all_that_is_checked_anyway() {
    let (chain, other) = (chain(), chain());
    let strange = Chain {
        root: other.root,
        ..chain
    };
    let error = verify(&strange, &[], &[pin(&strange.key)]).unwrap_err();
    // The two roots bear one name.
    assert_eq!(error, CertificateError::BadSignature.into());
}

/// What `openssl req -x509` makes: an authority that is a server's own certificate, valid from and until these years.
fn authority_itself(key: &KeyPair, years: (i32, i32)) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(["proxy.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params.self_signed(key).unwrap().der().clone()
}

#[test]
fn a_certificate_that_is_configured_is_trusted_for_its_name_and_its_time() {
    let key = KeyPair::generate().unwrap();
    let valid = authority_itself(&key, (2001, 2190));
    let verify = |configured: &CertificateDer<'static>, name: &'static str, pins: &[Pin]| {
        let options = ProxyOptions {
            pins: pins.to_vec(),
            ..ProxyOptions::default()
        };
        let none = SystemRoots::of(RootCertStore::empty());
        let tls = none
            .client(std::slice::from_ref(configured), &options)
            .unwrap();
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::now();
        let shown = |leaf| tls.verifier.verify_server_cert(leaf, &[], &name, &[], now);
        let verified = shown(configured);
        // Another of the same name and key is another.
        let other = shown(&authority_itself(&key, (2001, 2191))).unwrap_err();
        let Error::InvalidCertificate(why) = other else {
            panic!("{other}");
        };
        assert_eq!(CertificateFault::from(&why), CertificateFault::Authority);
        verified.map(drop)
    };
    verify(&valid, "proxy.example", &[]).unwrap();
    verify(&valid, "proxy.example", &[pin(&key)]).unwrap();
    for (certificate, name, pins, why) in [
        (&valid, "other.example", None, CertificateFault::WrongName),
        (
            &valid,
            "proxy.example",
            Some(Pin([7; 32])),
            CertificateFault::NotPinned,
        ),
        (
            &authority_itself(&key, (2001, 2002)),
            "proxy.example",
            None,
            CertificateFault::Expired,
        ),
        (
            &authority_itself(&key, (2190, 2191)),
            "proxy.example",
            None,
            CertificateFault::NotYetValid,
        ),
    ] {
        let error = verify(certificate, name, pins.as_slice()).unwrap_err();
        let Error::InvalidCertificate(error) = error else {
            panic!("{error}");
        };
        assert_eq!(CertificateFault::from(&error), why);
    }
}

#[test]
fn a_pin_is_written_as_curl_writes_it() {
    // RFC 7469 2.4 has no test vector; this is openssl's of 32 zero octets.
    let text = "sha256/Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=";
    let pin = Pin::parse(text).unwrap();
    assert_eq!(pin, Pin::of(&[0; 32]));
    assert_eq!(pin.to_string(), text);
    for wrong in ["sha1/AAAA", "sha256/AAAA", "Zmh6", "sha256//", ""] {
        assert_eq!(Pin::parse(wrong), None, "{wrong}");
    }
}

/// Ten thousand realms with a `ca-file` each hold the system's roots once, if it is the same.
#[test]
fn roots_with_the_same_certificates_beside_them_are_held_once() {
    let key = KeyPair::generate().unwrap();
    let [one, other] = [2190, 2191].map(|until| authority_itself(&key, (2001, until)));
    let roots = SystemRoots::of(RootCertStore::empty());
    let with = |certificate| roots.with(std::slice::from_ref(certificate)).unwrap();
    let first = with(&one);
    assert_eq!(first.len(), 1);
    assert!(Arc::ptr_eq(&first, &with(&one)));
    let second = with(&other);
    assert!(!Arc::ptr_eq(&first, &second) && second.len() == 1);
    drop((first, second));
    // What nobody has any more is forgotten.
    let _third = with(&one);
    assert_eq!(lock(&roots.extended).len(), 1);
}

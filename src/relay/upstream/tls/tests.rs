use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
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

//! A certificate authority of a test's own.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

/// Who vouches for whom the test wants.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        // OpenSSL takes a leaf for self-signed when its issuer bears the leaf's own name.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "the proxy's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// Writes its own certificate.
    pub(crate) fn write(&self, file: &Path) {
        fs::write(file, &self.pem).unwrap();
    }

    /// A certificate for these names, as they are or changed, and its key, both in PEM.
    pub(crate) fn leaf(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        (leaf.pem(), key.serialize_pem())
    }

    /// Writes a certificate for these names as leaf.pem and leaf.key into `dir`.
    pub(crate) fn certify(&self, dir: &Path, names: &[&str]) {
        let (leaf, key) = self.leaf(names, |_| {});
        fs::write(dir.join("leaf.pem"), leaf).unwrap();
        fs::write(dir.join("leaf.key"), key).unwrap();
    }

    /// Writes a client's certificate as client.pem and client.key into `dir`.
    pub(crate) fn certify_client(&self, dir: &Path) {
        let (leaf, key) = self.leaf(&["laptop.example.com"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        fs::write(dir.join("client.pem"), leaf).unwrap();
        fs::write(dir.join("client.key"), key).unwrap();
    }
}

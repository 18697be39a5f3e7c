//! PKINIT (RFC 4556): who shows a certificate needs no password.

use std::fs;
use std::path::Path;

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use tempfile::TempDir;

use crate::der::tlv;
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::authority::Authority;
use crate::support::realm::{More, SERVICE};
use crate::table::{About, Software, comes_through};

/// id-pkinit, and below it what a certificate is for: id-pkinit-KPClientAuth, id-pkinit-KPKdc (RFC 4556 3.2.2 and 3.2.4).
const ID_PKINIT: [u64; 7] = [1, 3, 6, 1, 5, 2, 3];
const FOR_CLIENTS: u64 = 4;
const FOR_KDCS: u64 = 5;

/// Who is nobody (RFC 8062 3): a KDC needs it to exist.
pub(crate) const ANONYMOUS: &str = "addprinc -randkey WELLKNOWN/ANONYMOUS\n";

/// The certificates of a realm: its authority's, its KDC's, and one for `user`.
pub(crate) struct Certificates {
    dir: TempDir,
}

impl Certificates {
    pub(crate) fn issue() -> Certificates {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        authority.write(&dir.path().join("ca.pem"));
        let kdc = ["krbtgt", "EXAMPLE.COM"];
        certify(&authority, dir.path(), "kdc", &kdc, FOR_KDCS);
        certify(&authority, dir.path(), "user", &["user"], FOR_CLIENTS);
        Certificates { dir }
    }

    /// What the realm's KDC has to know.
    pub(crate) fn stanza(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            " pkinit_identity = FILE:{dir}/kdc.pem,{dir}/kdc.key\n pkinit_anchors = FILE:{dir}/ca.pem\n"
        )
    }

    /// Opens with a realm that has them, made with these lines for kadmin.local too.
    pub(super) fn office(&self, admin: &str) -> Office {
        Office::furnished(More {
            stanza: &self.stanza(),
            admin,
            ..More::default()
        })
    }

    /// What tells `kinit` whom to believe.
    pub(crate) fn anchors(&self) -> String {
        format!("-X X509_anchors=FILE:{}/ca.pem", self.dir.path().display())
    }

    /// The same, and what the user shows.
    pub(crate) fn identity(&self) -> String {
        let (anchors, dir) = (self.anchors(), self.dir.path().display());
        format!("{anchors} -X X509_user_identity=FILE:{dir}/user.pem,{dir}/user.key")
    }
}

/// Writes the certificate of a principal of EXAMPLE.COM and its key.
fn certify(authority: &Authority, dir: &Path, file: &str, principal: &[&str], purpose: u64) {
    let (certificate, key) = authority.leaf(&[], |params| {
        let purpose = [&ID_PKINIT[..], &[purpose]].concat();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(purpose)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions = vec![alternative_name("EXAMPLE.COM", principal)];
    });
    fs::write(dir.join(format!("{file}.pem")), certificate).unwrap();
    fs::write(dir.join(format!("{file}.key")), key).unwrap();
}

/// The subject's alternative name that holds a KRB5PrincipalName (RFC 4556 3.2.2).
fn alternative_name(realm: &str, principal: &[&str]) -> CustomExtension {
    const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
    const ID_PKINIT_SAN: [u8; 8] = [0x06, 6, 0x2b, 6, 1, 5, 2, 2];
    let string = |text: &&str| tlv(0x1b, text.as_bytes());
    let components: Vec<u8> = principal.iter().flat_map(string).collect();
    // NT-PRINCIPAL, though who reads it looks at the strings alone.
    let name_type = tlv(0xa0, &tlv(0x02, &[1]));
    let components = tlv(0xa1, &tlv(0x30, &components));
    let name = tlv(0x30, &[name_type, components].concat());
    let realm = tlv(0xa0, &string(&realm));
    let principal = tlv(0x30, &[realm, tlv(0xa1, &name)].concat());
    let other_name = [&ID_PKINIT_SAN[..], &tlv(0xa0, &principal)].concat();
    let names = tlv(0x30, &tlv(0xa0, &other_name));
    CustomExtension::from_oid_content(&SUBJECT_ALT_NAME, names)
}

#[test]
fn a_users_certificate() {
    isolated(|| {
        let certificates = Certificates::issue();
        // Nothing but the certificate can log in now.
        let office = certificates.office("purgekeys -all user\n");
        let identity = certificates.identity();
        let kinit = |user: &str| {
            let line = format!("kinit {identity} {user}@EXAMPLE.COM");
            office.client.run(&line, &[])
        };
        kinit("user").succeeds();
        // PA-PK-AS-REQ, as the client remembers.
        office
            .client
            .run("klist -C", &[])
            .says("pa_type(krbtgt/EXAMPLE.COM@EXAMPLE.COM) = 16");
        office
            .client
            .run(&format!("kvno {SERVICE}"), &[])
            .succeeds();
        kinit("strict").fails_with("mismatch");
        let what = "AS: PKINIT";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

/// RFC 8062: a ticket for nobody, good for armor and for services that take anybody.
#[test]
fn anonymous() {
    isolated(|| {
        let certificates = Certificates::issue();
        let office = certificates.office(ANONYMOUS);
        let kinit = format!("kinit -n {} @EXAMPLE.COM", certificates.anchors());
        office.client.run(&kinit, &[]).succeeds();
        let klist = office.client.run("klist", &[]);
        klist.says("Default principal: WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS");
        office
            .client
            .run(&format!("kvno {SERVICE}"), &[])
            .succeeds();
        let what = "AS: anonymous PKINIT";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

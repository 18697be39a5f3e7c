//! A service that acts for a user ([MS-SFU]): S4U2Self and S4U2Proxy.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{change, gss, python_gssapi};
use crate::office::{Office, REALM};
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::directory::{ADMIN, ADMIN_PASSWORD, Directory, SUFFIX};
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::support::unpacked;
use crate::table::{About, Software, comes_through};

/// The services that [`SERVICE`] may and may not act before.
const ALLOWED: &str = "host/b.example.com@EXAMPLE.COM";
const NOT_ALLOWED: &str = "host/c.example.com@EXAMPLE.COM";

/// What the entries of a realm are made of: Debian's slim images install no documentation.
const SCHEMA: &str = "usr/share/doc/krb5-kdc-ldap/kerberos.schema.gz";

/// A realm whose database is in the directory: of MIT's databases only the one in LDAP says which service may act before which.
/// With db2 a KDC answers every S4U2Proxy with KDC_ERR_BADOPTION and logs UNSUPPORTED_S4U2PROXY_REQUEST.
fn office_in(directory: &Directory) -> Office {
    let dir = directory.dir().display();
    let url = directory.url();
    let stash = directory.dir().join("password");
    fs::write(&stash, stashed(ADMIN_PASSWORD)).unwrap();
    let database = format!(
        "[dbmodules]\n ldap = {{\n db_library = kldap\n ldap_servers = {url}\n\
         ldap_kdc_dn = {ADMIN}\n ldap_kadmind_dn = {ADMIN}\n\
         ldap_service_password_file = {dir}/password\n\
         ldap_kerberos_container_dn = cn=realms,{SUFFIX}\n }}\n"
    );
    let words = [
        "kdb5_ldap_util",
        "-D",
        ADMIN,
        "-w",
        ADMIN_PASSWORD,
        "create",
    ];
    let office = Office::furnished(More {
        stanza: " database_module = ldap\n",
        kdc: &database,
        create: &words,
        ..More::default()
    });
    directory.load(
        "ldapmodify",
        &format!(
            "dn: krbPrincipalName={SERVICE},cn={REALM},cn=realms,{SUFFIX}\nchangetype: modify\n\
             add: krbAllowedToDelegateTo\nkrbAllowedToDelegateTo: {ALLOWED}\n"
        ),
    );
    office
}

/// The directory of [`office_in`].
fn directory() -> Directory {
    let schema = Command::new("zcat")
        .arg(unpacked::file("ldap", SCHEMA))
        .output();
    let schema = String::from_utf8(schema.unwrap().stdout).unwrap();
    Directory::start(&schema, None)
}

/// A password as `kdb5_ldap_util stashsrvpw` writes it.
fn stashed(password: &str) -> String {
    let hex: String = password
        .bytes()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!("{ADMIN}#{{HEX}}{hex}\n")
}

/// A service with its key and a ticket of its own, in a cache of its own.
struct Host {
    keytab: PathBuf,
    cache: PathBuf,
}

impl Host {
    fn of(office: &Office) -> Host {
        let host = Host {
            keytab: office.keytab(&[SERVICE]),
            cache: office.dir().join("of-the-service"),
        };
        host.log_in(office);
        host
    }

    /// Into an empty cache.
    fn log_in(&self, office: &Office) {
        let (keytab, cache) = (self.keytab.display(), self.cache.display());
        let kinit = format!("kinit -f -c {cache} -k -t {keytab} {SERVICE}");
        office.client.run(&kinit, &[]).succeeds();
    }

    fn kvno(&self, office: &Office, rest: &str) -> Outcome {
        let line = format!(
            "kvno -c {} -k {} {rest}",
            self.cache.display(),
            self.keytab.display()
        );
        office.client.run(&line, &[])
    }
}

/// [MS-SFU] 1.3.1: a ticket of itself in a user's name, who has not asked for it.
#[test]
fn s4u2self() {
    isolated(|| {
        let office = Office::furnished(More::default());
        let host = Host::of(&office);
        let kvno = host.kvno(&office, &format!("-I user@EXAMPLE.COM {SERVICE}"));
        kvno.succeeds().says("keytab entry valid");
        let kdc = &office.realm.kdc;
        kdc.wait_for("PROTOCOL-TRANSITION s4u-client=user@EXAMPLE.COM");
        let klist = office
            .client
            .run(&format!("klist {}", host.cache.display()), &[]);
        klist.says("for client user@EXAMPLE.COM");
        host.kvno(&office, &format!("-I nobody@EXAMPLE.COM {SERVICE}"))
            .fails_with("not found in Kerberos database");
        let what = "TGS: a service's ticket of itself in a user's name (S4U2Self)";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

/// [MS-SFU] 1.3.2 with the ticket that a user came with: the service may go on to where it is allowed to, and nowhere
/// else.
#[test]
fn s4u2proxy() {
    isolated(|| {
        let directory = directory();
        let office = office_in(&directory);
        let host = Host::of(&office);
        let kinit = office.client.run("kinit -f user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds();
        let [keytab, cache] = [&host.keytab, &host.cache].map(|path| path.to_str().unwrap());
        let act = |before| {
            let args = [SERVICE, keytab, "--proxy", cache, "--to", before];
            gss(&office, &args)
        };
        let acted = act(ALLOWED).succeeds();
        acted.says("initiator: user@EXAMPLE.COM").says(ALLOWED);
        let kdc = &office.realm.kdc;
        kdc.wait_for("CONSTRAINED-DELEGATION s4u-client=user@EXAMPLE.COM");
        act(NOT_ALLOWED).fails_with("KDC can't fulfill requested option");
        let what = "TGS: a service goes on with the user's ticket (S4U2Proxy)";
        let with = [Software::mit(), Software::openldap(), python_gssapi()];
        comes_through(About::Exchanges, what, &with);
    });
}

/// Both, one after the other, which takes a leave of its own.
#[test]
fn s4u2self_and_s4u2proxy() {
    isolated(|| {
        let directory = directory();
        let office = office_in(&directory);
        let host = Host::of(&office);
        let act = |before| host.kvno(&office, &format!("-P -I user@EXAMPLE.COM {before}"));
        act(ALLOWED).fails_with("constrained delegation failed");
        let line = format!("modprinc +ok_to_auth_as_delegate {SERVICE}\n");
        change(&office, &line);
        // The ticket in the user's name that it has by now may not be used further.
        host.log_in(&office);
        act(ALLOWED).succeeds();
        assert!(office.client.flags(&host.cache, ALLOWED).contains('F'));
        act(NOT_ALLOWED).fails_with("constrained delegation failed");
        let what =
            "TGS: a service goes on in the name of a user who has no ticket (S4U2Self, S4U2Proxy)";
        let with = [Software::mit(), Software::openldap()];
        comes_through(About::Exchanges, what, &with);
    });
}

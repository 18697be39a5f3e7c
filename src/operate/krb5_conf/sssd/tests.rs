//! Which realms SSSD asks for, what it is given to read, and what systemd is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{KRB5_CONF, REACHABLE};
use super::{SssdDomain, domains, units, write};
use crate::operate::krb5_conf::disk::Disk;
use crate::operate::krb5_conf::{INSTALL, errors};

fn found(files: &[(&str, &str)]) -> Vec<SssdDomain> {
    domains(&mut Disk::with(files))
}

/// Name and realm of each domain of this sssd.conf.
fn realms(text: &str) -> Vec<(String, String)> {
    let found = found(&[("/etc/sssd/sssd.conf", text)]).into_iter();
    found.map(|domain| (domain.name, domain.realm)).collect()
}

#[track_caller]
fn has_realm(domain: &str, realm: Option<&str>) {
    let text = format!("[sssd]\ndomains = corp.example\n[domain/corp.example]\n{domain}");
    let realm = realm.map(|realm| ("corp.example".to_owned(), realm.to_owned()));
    assert_eq!(realms(&text), Vec::from_iter(realm), "{domain}");
}

#[test]
fn the_realm_of_a_domain_is_that_of_its_provider() {
    has_realm("id_provider = ad", Some("CORP.EXAMPLE"));
    has_realm("id_provider = ipa", Some("CORP.EXAMPLE"));
    has_realm(
        "id_provider = ad\nad_domain = Ad.Example",
        Some("AD.EXAMPLE"),
    );
    has_realm(
        "id_provider = ipa\nipa_domain = ipa.example",
        Some("IPA.EXAMPLE"),
    );
    has_realm("id_provider = ad\nkrb5_realm = OTHER", Some("OTHER"));
    has_realm(
        "id_provider = ldap\nauth_provider = krb5",
        Some("corp.example"),
    );
    has_realm(
        "id_provider = ldap\nauth_provider = krb5\nkrb5_realm = R",
        Some("R"),
    );
    has_realm("id_provider = ad\nauth_provider = none", None);
    has_realm("id_provider = ldap\nkrb5_realm = R", None);
    has_realm("auth_provider =\nid_provider = ad", Some("CORP.EXAMPLE"));
    has_realm("krb5_realm = R", None);
}

#[test]
fn domains_are_those_that_are_enabled() {
    let text = "[sssd]\ndomains = b, a ,c\n\
        [domain/a]\nid_provider = ad\n[domain/b]\nid_provider = ad\n\
        [domain/c]\nid_provider = ad\nenabled = false\n\
        [domain/d]\nid_provider = ad\nenabled = TRUE\n[domain/e]\nid_provider = ad\n";
    let names: Vec<_> = realms(text).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b", "a", "d"]);
    assert_eq!(realms(""), []);
    assert_eq!(found(&[]), []);
}

#[test]
fn what_is_read_last_counts() {
    let main = "; a comment\n[SSSD]\nDomains=x\n#[domain/x]\n [domain/X] \nid_provider=krb5\n id_provider = ad\n";
    let files = [
        ("/etc/sssd/sssd.conf", main),
        (
            "/etc/sssd/conf.d/20.conf",
            "[domain/x]\nkrb5_realm = TWENTY\n",
        ),
        ("/etc/sssd/conf.d/10.conf", "[domain/x]\nkrb5_realm = TEN\n"),
        (
            "/etc/sssd/conf.d/.30.conf",
            "[domain/x]\nkrb5_realm = HIDDEN\n",
        ),
        ("/etc/sssd/conf.d/30.old", "[domain/x]\nkrb5_realm = OLD\n"),
    ];
    let domain = |realm: &str| SssdDomain {
        name: "x".to_owned(),
        realm: realm.to_owned(),
        asks_others: None,
    };
    assert_eq!(found(&files), [domain("TWENTY")]);
    let text = "[sssd]\ndomains = x\n[domain/x]\nid_provider = ad\n";
    assert_eq!(found(&[("/etc/sssd/conf.d/1.conf", text)]), [domain("X")]);
}

const ENTERPRISE: &str = "krb5_use_enterprise_principal = true";

/// What such a domain should have instead.
fn instead(domain: &str) -> Vec<String> {
    let text = format!("[sssd]\ndomains = x\n[domain/x]\n{domain}");
    let [found] = found(&[("/etc/sssd/sssd.conf", &text)]).try_into().unwrap();
    found.asks_others.map_or_else(Vec::new, |asks| asks.instead)
}

#[test]
fn domains_whose_users_may_have_a_principal_of_another_realm() {
    let by_krb5 = |more: &str| instead(&format!("auth_provider = krb5\n{more}"));
    for (domain, asks_others) in [
        ("id_provider = ldap\nldap_schema = AD", true),
        ("id_provider = ldap\nldap_schema = rfc2307", false),
        ("id_provider = ldap\nldap_user_principal = upn", true),
        (
            "id_provider = ldap\nldap_schema = ad\nldap_user_principal = noSuchAttr",
            false,
        ),
        (
            "id_provider = ldap\nldap_schema = ad\nkrb5_use_enterprise_principal = true",
            false,
        ),
        ("id_provider = ad\nsubdomains_provider = none", true),
    ] {
        let expected = asks_others.then_some(ENTERPRISE);
        assert_eq!(by_krb5(domain), Vec::from_iter(expected), "{domain}");
    }
    // SSSD's own default there.
    assert_eq!(
        instead("id_provider = ad\nsubdomains_provider = none"),
        [""; 0]
    );
}

#[test]
fn domains_that_have_the_kdcs_of_trusted_ones_asked() {
    const REALM: &str = "krb5_use_subdomain_realm = false";
    for (domain, expected) in [
        ("id_provider = ad", &[][..]),
        (
            "id_provider = ad\nkrb5_use_enterprise_principal = False",
            &[ENTERPRISE],
        ),
        (
            "id_provider = ad\nkrb5_use_subdomain_realm = true",
            &[REALM],
        ),
        (
            "id_provider = ad\nauth_provider = krb5\nkrb5_use_subdomain_realm = TRUE",
            &[ENTERPRISE, REALM],
        ),
        ("id_provider = ipa", &[ENTERPRISE]),
        (
            "id_provider = ipa\nkrb5_use_enterprise_principal = true",
            &[],
        ),
        ("id_provider = ipa\nsubdomains_provider = none", &[]),
        ("id_provider = ldap\nauth_provider = krb5", &[]),
        (
            "id_provider = ldap\nauth_provider = krb5\nsubdomains_provider = ad",
            &[ENTERPRISE],
        ),
    ] {
        assert_eq!(instead(domain), expected, "{domain}");
    }
    let main = "[sssd]\ndomains = x, y, z\n[domain/x]\nid_provider = ad\nkrb5_realm = R\n\
        [domain/y]\nid_provider = ipa\nkrb5_realm = R\n[domain/z]\nid_provider = ad\n";
    let set = "[domain/y]\nkrb5_use_enterprise_principal = false\n";
    for (files, file) in [
        (&[("/etc/sssd/sssd.conf", main)][..], "/etc/sssd/sssd.conf"),
        (
            &[
                ("/etc/sssd/sssd.conf", main),
                ("/etc/sssd/conf.d/y.conf", set),
            ],
            "/etc/sssd/conf.d/y.conf",
        ),
    ] {
        // SSSD may try the realm for both domains, or for none.
        let asks = found(files).into_iter().map(|domain| domain.asks_others);
        let [x, y, z] = asks.collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((&x, z), (&y, None));
        let asks = x.unwrap();
        assert_eq!(
            (asks.section.as_str(), asks.file.as_str()),
            ("domain/y", file)
        );
    }
}

/// A /run of one's own.
struct Run(TempDir);

impl Run {
    fn new() -> Self {
        let run = Self(tempfile::tempdir().unwrap());
        fs::create_dir(run.path("loopkdc")).unwrap();
        run
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self) -> Option<String> {
        let realms = ["EXAMPLE.COM", "B"].map(str::to_owned);
        write(self.0.path(), &realms).unwrap();
        fs::read_to_string(self.path(KRB5_CONF)).ok()
    }

    /// What SSSD reads when this is said.
    fn with(&self, text: &str) -> Option<String> {
        fs::write(self.path(REACHABLE), text).unwrap();
        self.write()
    }
}

const HEAD: &str = "# For sssd.service alone, while these realms can be reached: loopkdc-sssd.service writes it anew.\n[realms]\n";

#[test]
fn sssd_may_try_realms_that_can_be_reached() {
    let run = Run::new();
    assert_eq!(run.write(), None);
    let stanza =
        |realm| format!("    {realm} = {{\n        kdc = https://127.0.0.1:9/none\n    }}\n");
    let one = format!("{HEAD}{}", stanza("EXAMPLE.COM"));
    assert_eq!(run.with("EXAMPLE.COM\n"), Some(one.clone()));
    let metadata = fs::metadata(run.path(KRB5_CONF)).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o644);
    assert_eq!(run.with("EXAMPLE.COM\n"), Some(one));
    assert_eq!(
        fs::metadata(run.path(KRB5_CONF)).unwrap().ino(),
        metadata.ino()
    );
    let both = format!("{HEAD}{}{}", stanza("EXAMPLE.COM"), stanza("B"));
    assert_eq!(run.with("B\nEXAMPLE.COM\n"), Some(both));
    assert_eq!(run.with(""), None);
    assert_eq!(fs::read_dir(run.path("loopkdc-sssd")).unwrap().count(), 0);
}

/// Whatever a user without rights writes there, it chooses among root's realms.
#[test]
fn nothing_of_what_is_read_gets_any_further() {
    let run = Run::new();
    let told = run.path(REACHABLE);
    for text in [
        "C\n",
        "example.com\n",
        " EXAMPLE.COM\n",
        "EXAMPLE.COM = {\n",
        "[plugins]\n",
        "B\0\n",
    ] {
        assert!(run.with("B\n").is_some());
        assert_eq!(run.with(text), None, "{text:?}");
    }
    let made = run.with("B\nC\n[plugins]\nclpreauth = { module = x:/tmp/x.so }\n");
    assert_eq!(made, run.with("B\n"));
    // More than is read.
    assert_eq!(run.with(&format!("B\n{}", "x\n".repeat(600_000))), None);
    // A link, though it leads to a list that counts elsewhere.
    fs::rename(&told, run.path("list")).unwrap();
    fs::write(run.path("list"), "B\n").unwrap();
    symlink(run.path("list"), &told).unwrap();
    assert_eq!(run.write(), None);
    fs::remove_file(&told).unwrap();
    let made = Command::new("mkfifo").arg(&told).status().unwrap();
    assert!(made.success());
    assert_eq!(run.write(), None);
    fs::remove_file(&told).unwrap();
    fs::create_dir(&told).unwrap();
    assert_eq!(run.write(), None);
}

/// A change after that starts the service once more.
#[test]
fn the_sign_of_a_change_is_taken_away() {
    let run = Run::new();
    let changed = run.path("loopkdc/reachable.changed");
    fs::write(&changed, "").unwrap();
    run.with("B\n");
    assert!(!changed.exists());
    // A link there is taken away itself.
    symlink(run.path(KRB5_CONF), &changed).unwrap();
    assert!(run.write().is_some());
    assert!(!changed.is_symlink());
}

/// `loopkdc run` takes it for a word that SSSD has been told.
#[cfg(target_os = "linux")]
#[test]
fn the_sign_of_a_change_stays_until_it_is_acted_on() {
    use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

    let run = Run::new();
    run.with("B\n").unwrap();
    fs::write(run.path("loopkdc/reachable.changed"), "").unwrap();
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    for folder in ["loopkdc", "loopkdc-sssd"] {
        inotify::add_watch(&watch, run.path(folder), WatchFlags::DELETE).unwrap();
    }
    assert_eq!(run.with(""), None);
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watch, &mut buffer);
    for name in [c"krb5.conf", c"reachable.changed"] {
        assert_eq!(events.next().unwrap().file_name(), Some(name));
    }
}

#[test]
fn it_is_not_written_where_others_could() {
    let run = Run::new();
    run.with("B\n").unwrap();
    // Or systemd would start the service again at once.
    let changed = run.path("loopkdc/reachable.changed");
    fs::write(&changed, "").unwrap();
    let folder = run.path("loopkdc-sssd");
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let failure = write(run.0.path(), &[]).unwrap_err();
    assert_eq!(
        failure,
        errors::writable_by_others(&folder, "loopkdc krb5-conf --sssd")
    );
    assert!(!changed.exists());
    fs::remove_dir_all(&folder).unwrap();
    symlink(run.path("elsewhere"), &folder).unwrap();
    write(run.0.path(), &["B".to_owned()]).unwrap_err();
    assert!(!Path::new(&run.path("elsewhere")).exists());
}

/// Every file below, and what is in it.
fn all(below: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push((path.clone(), String::new()));
            all.extend(self::all(&path));
        } else {
            all.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn what_systemd_is_told_is_taken_back_to_the_octet() {
    let system = tempfile::tempdir().unwrap();
    let own = system.path().join("loopkdc.service.d");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("other.conf"), "[Service]\n").unwrap();
    let empty = system.path().join("sssd.service.d");
    fs::create_dir(&empty).unwrap();
    let before = all(system.path());
    let put = |realms: &[&str]| {
        let realms: Vec<_> = realms.iter().map(|realm| (*realm).to_owned()).collect();
        units::put_drop_ins(system.path(), &realms).unwrap()
    };
    let made = |unit: &str| format!("made {}/{unit}.d", system.path().display());
    let said = put(&["A", "B%C"]);
    assert_eq!(said.len(), 4);
    assert!(said.contains(&made("loopkdc-sssd.service")), "{said:?}");
    let made = all(system.path());
    assert_eq!(put(&["A", "B%C"]), [""; 0]);
    assert_eq!(all(system.path()), made);
    let text = |unit: &str| {
        let path = system.path().join(format!("{unit}.d/loopkdc-sssd.conf"));
        fs::read_to_string(path).unwrap()
    };
    assert!(
        text("loopkdc-sssd.service").ends_with("\nEnvironment=\"LOOPKDC_SSSD_REALMS=A B%%C\"\n")
    );
    let sssd = "[Service]\nEnvironment=KRB5_CONFIG=/etc/krb5.conf:/run/loopkdc-sssd/krb5.conf\n";
    assert!(text("sssd.service").ends_with(sssd));
    // Only this one changes with the realms.
    let written = put(&["A"]);
    assert!(
        written.len() == 1 && written[0].ends_with("/loopkdc-sssd.service.d/loopkdc-sssd.conf")
    );
    let mut drop_ins = units::drop_ins(system.path());
    assert_eq!(units::remove_drop_ins(&mut drop_ins).unwrap().len(), 4);
    assert_eq!(all(system.path()), before);
}

#[test]
fn a_drop_in_of_somebody_elses_stays() {
    let system = tempfile::tempdir().unwrap();
    let folder = system.path().join("sssd.service.d");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("loopkdc-sssd.conf");
    fs::write(&file, "[Service]\n").unwrap();
    let before = all(system.path());
    let failure = units::put_drop_ins(system.path(), &["A".to_owned()]).unwrap_err();
    assert_eq!(failure, errors::foreign(&file, INSTALL));
    assert!(units::drop_ins(system.path()).is_empty());
    assert_eq!(all(system.path()), before);
}

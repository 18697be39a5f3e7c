//! What `--install` does for SSSD where systemd is not at work, as in the image of a machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::etc::{krb5_conf, on_debian};

const SSSD: &str = "[sssd]\ndomains = corp\n[domain/corp]\nid_provider = ldap\nauth_provider = krb5\nkrb5_realm = EXAMPLE.COM\n";
/// What --install says before what it does for SSSD, and after it.
const STANZAS: &str = "wrote /etc/krb5.conf\n";
const NEXT: &str = "to see whether it works: ";

/// A machine with SSSD, and no systemd that could be asked.
fn scene(sssd_conf: &str) {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .status();
    assert!(mounted.unwrap().success());
    fs::create_dir_all("/etc/sssd").unwrap();
    fs::write("/etc/sssd/sssd.conf", sssd_conf).unwrap();
}

/// Where the administrator's units are, with those of the package.
fn units() -> &'static Path {
    let system = Path::new("/etc/systemd/system");
    fs::create_dir_all(system).unwrap();
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    for unit in ["loopkdc-sssd.path", "loopkdc-sssd.service"] {
        fs::copy(packaged.join(unit), system.join(unit)).unwrap();
    }
    system
}

/// Every file below, with where it leads to or what is in it.
fn all(below: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            all.insert(path, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            all.extend(self::all(&path));
            all.insert(path, Vec::new());
        } else {
            let octets = fs::read(&path).unwrap();
            all.insert(path, octets);
        }
    }
    all
}

#[test]
fn units_that_are_not_there_are_told() {
    on_debian(|_| {
        scene(SSSD);
        let ended = krb5_conf(&["--install"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told = "loopkdc: warning: logins by SSSD (corp) bring no ticket away from the office: systemd, which would see to that, has no loopkdc-sssd.path\n\
            loopkdc: hint: with systemd: put loopkdc-sssd.path, loopkdc-sssd.service and loopkdc-sssd-end.service beside loopkdc.service, and do this again\n\
            loopkdc: hint: without: make the folder /run/loopkdc for loopkdc's user, run loopkdc with LOOPKDC_REACHABLE_FILE=/run/loopkdc/reachable, and sssd with KRB5_CONFIG=/etc/krb5.conf:/run/loopkdc-sssd/krb5.conf\n\
            loopkdc: hint: and whenever the first of these files changes, as root: loopkdc krb5-conf --sssd EXAMPLE.COM\n\
            loopkdc: hint: and when loopkdc has ended: rm -f /run/loopkdc/reachable /run/loopkdc-sssd/krb5.conf\n";
        assert_eq!(ended.stderr, told);
        krb5_conf(&["--install", "--no-sssd"]).well();
    });
}

#[test]
fn it_is_set_up_and_taken_back() {
    on_debian(|_| {
        scene(SSSD);
        let system = units();
        let before = all(Path::new("/etc"));
        let ended = krb5_conf(&["--install"]);
        let (_, done) = ended.stdout.split_once(STANZAS).unwrap();
        let (done, _) = done.split_once(NEXT).unwrap();
        let expected = "made /etc/systemd/system/sssd.service.d\n\
            wrote /etc/systemd/system/sssd.service.d/loopkdc-sssd.conf\n\
            made /etc/systemd/system/loopkdc.service.d\n\
            wrote /etc/systemd/system/loopkdc.service.d/loopkdc-sssd.conf\n\
            made /etc/systemd/system/loopkdc-sssd.service.d\n\
            wrote /etc/systemd/system/loopkdc-sssd.service.d/loopkdc-sssd.conf\n\
            enabled loopkdc-sssd.path, and with it loopkdc.service from the start of the machine on\n";
        assert_eq!(done, expected);
        let told = "loopkdc: warning: a login by SSSD (corp) away from the office brings no ticket until both services have begun anew\n\
            loopkdc: hint: have them do so: systemctl restart loopkdc sssd\n";
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), told));
        assert!(
            system
                .join("multi-user.target.wants/loopkdc-sssd.path")
                .is_symlink()
        );

        let after = all(Path::new("/etc"));
        let again = krb5_conf(&["--install"]);
        let nothing = format!("nothing is to be changed in krb5.conf\n{NEXT}");
        assert!(again.stdout.starts_with(&nothing), "{again:?}");
        krb5_conf(&["--install", "--no-sssd"]).well();
        assert_eq!(all(Path::new("/etc")), after);

        let removed = krb5_conf(&["--remove"]).well();
        for line in [
            "disabled loopkdc-sssd.path\n",
            "removed /etc/systemd/system/sssd.service.d/loopkdc-sssd.conf\n",
            "for both services to be as before: systemctl restart loopkdc sssd\n",
        ] {
            assert!(removed.contains(line), "{removed}");
        }
        let mut left = all(Path::new("/etc"));
        // systemctl's own.
        left.remove(&system.join("multi-user.target.wants"));
        let mut before = before;
        before.remove(&system.join("multi-user.target.wants"));
        assert_eq!(left, before);
    });
}

#[test]
fn a_domain_that_is_none_of_ours_any_more() {
    on_debian(|_| {
        scene(SSSD);
        units();
        krb5_conf(&["--install"]);
        fs::write("/etc/sssd/sssd.conf", SSSD.replace("EXAMPLE.COM", "OTHER")).unwrap();
        let removed = krb5_conf(&["--install"]).well();
        assert!(
            removed.contains("disabled loopkdc-sssd.path\n"),
            "{removed}"
        );
        assert!(!Path::new("/etc/systemd/system/sssd.service.d").exists());
        krb5_conf(&["--remove"]).well();
    });
}

#[test]
fn a_drop_in_of_somebody_elses() {
    on_debian(|_| {
        scene(SSSD);
        let folder = units().join("sssd.service.d");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("loopkdc-sssd.conf"), "[Service]\n").unwrap();
        let ended = krb5_conf(&["--install"]);
        let file = "/etc/systemd/system/sssd.service.d/loopkdc-sssd.conf";
        let told = format!(
            "loopkdc: error: {file} is there, and was not made by \"loopkdc krb5-conf --install\"\n\
             loopkdc: hint: move it away, to a name that nobody reads: mv {file} {file}.old\n\
             loopkdc: hint: then: loopkdc krb5-conf --install\n"
        );
        assert_eq!((ended.code, ended.stderr), (Some(78), told));
        // krb5.conf was changed before that.
        let next = format!("{NEXT}loopkdc doctor\nto undo it: loopkdc krb5-conf --remove\n");
        assert!(ended.stdout.ends_with(&next), "{}", ended.stdout);
        fs::rename(file, format!("{file}.old")).unwrap();
        assert_eq!(krb5_conf(&["--install"]).code, Some(0));
        assert!(Path::new(file).exists());
    });
}

/// By the command that the doctor hints at.
#[test]
fn an_administrator_who_wants_none_of_it() {
    on_debian(|_| {
        scene(SSSD);
        // As the package has them: what is in /etc can't be masked.
        let local = Path::new("/usr/local/lib");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs"])
            .arg(local)
            .status();
        assert!(mounted.unwrap().success());
        let packaged = local.join("systemd/system");
        fs::create_dir_all(&packaged).unwrap();
        let system = units();
        for unit in ["loopkdc-sssd.path", "loopkdc-sssd.service"] {
            fs::copy(system.join(unit), packaged.join(unit)).unwrap();
            fs::remove_file(system.join(unit)).unwrap();
        }
        krb5_conf(&["--install"]);
        let is_set_up = || system.join("sssd.service.d/loopkdc-sssd.conf").exists();
        assert!(is_set_up());
        let systemctl = |word: &str| {
            let mut command = Command::new("systemctl");
            assert!(
                command
                    .args([word, "loopkdc-sssd.path"])
                    .status()
                    .unwrap()
                    .success()
            );
        };
        systemctl("mask");
        krb5_conf(&["--install"]).well();
        assert!(!is_set_up());
        systemctl("unmask");
        krb5_conf(&["--install"]);
        assert!(is_set_up());
    });
}

/// SSSD's part of it goes though the other can't.
#[test]
fn a_removal_that_can_not_be_finished() {
    on_debian(|_| {
        scene(SSSD);
        let system = units();
        krb5_conf(&["--install"]);
        let drop_in = system.join("sssd.service.d/loopkdc-sssd.conf");
        fs::rename("/etc/krb5.conf", "/etc/other").unwrap();
        std::os::unix::fs::symlink("other", "/etc/krb5.conf").unwrap();
        let ended = krb5_conf(&["--remove"]);
        let link = "loopkdc: error: /etc/krb5.conf is a symbolic link, ";
        assert!(
            ended.code == Some(78) && ended.stderr.starts_with(link),
            "{ended:?}"
        );
        assert!(
            ended
                .stdout
                .contains("removed /etc/systemd/system/sssd.service.d/loopkdc-sssd.conf\n"),
            "{ended:?}"
        );
        assert!(!drop_in.exists());
    });
}

#[test]
fn units_that_systemd_does_not_take() {
    on_debian(|_| {
        scene(SSSD);
        let system = units();
        let wants = system.join("multi-user.target.wants");
        let _ = fs::remove_dir_all(&wants);
        fs::write(&wants, "").unwrap();
        let ended = krb5_conf(&["--install"]);
        let told = "loopkdc: hint: see what it says of: systemctl enable loopkdc-sssd.path\n\
            loopkdc: hint: and then do the rest: loopkdc krb5-conf --install\n\
            loopkdc: hint: or do without: loopkdc krb5-conf --remove\n\
            loopkdc: hint: and then: loopkdc krb5-conf --install --no-sssd\n";
        assert!(
            ended.code == Some(78) && ended.stderr.ends_with(told),
            "{ended:?}"
        );
        // What is advised leaves nothing of it behind.
        krb5_conf(&["--remove"]).well();
        krb5_conf(&["--install", "--no-sssd"]);
        assert!(!system.join("sssd.service.d").exists());
    });
}

/// What would be set up for it would start processes without end.
#[test]
fn a_domain_that_has_the_kdcs_of_trusted_ones_asked() {
    on_debian(|_| {
        scene(&SSSD.replace("id_provider = ldap", "id_provider = ad"));
        let drop_in = units().join("sssd.service.d/loopkdc-sssd.conf");
        let ended = krb5_conf(&["--install"]);
        let told = "loopkdc: warning: a login by SSSD (corp) brings no ticket away from the office, as that is not set up for such a domain: ";
        assert!(
            ended.code == Some(0) && ended.stderr.starts_with(told),
            "{ended:?}"
        );
        assert!(
            ended
                .stderr
                .contains("[domain/corp] of /etc/sssd/sssd.conf\n"),
            "{ended:?}"
        );
        assert!(!drop_in.exists() && ended.stdout.contains(STANZAS));
        // As the hint has it; and what is set up is taken away when it can't stay.
        let text = fs::read_to_string("/etc/sssd/sssd.conf").unwrap();
        let mended = format!("{text}krb5_use_enterprise_principal = true\n");
        for (text, is_set_up) in [(mended, true), (text, false)] {
            fs::write("/etc/sssd/sssd.conf", text).unwrap();
            krb5_conf(&["--install"]);
            assert_eq!(drop_in.exists(), is_set_up);
        }
    });
}

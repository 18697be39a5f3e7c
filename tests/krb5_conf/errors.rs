//! What stands in the way, and what is said of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::CONFIG;
use crate::etc::{DEBIANS, all, configure, furnish, is_leftover, krb5_conf, run, with_program};
use crate::support::netns::{bind_over, isolated};

#[track_caller]
fn mount(args: &[&str]) {
    let status = Command::new("mount").args(args).status();
    assert!(status.unwrap().success(), "mount {args:?}");
}

/// Fails the test unless it ends like this, with nothing changed.
#[track_caller]
fn fails(words: &[&str], code: i32, stderr: &str) {
    let before = all();
    let ended = krb5_conf(words);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), stderr));
    assert_eq!(ended.stdout, "");
    assert_eq!(all(), before);
}

fn scene(body: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path(), Some(DEBIANS));
    configure(CONFIG);
    body(dir.path());
}

#[test]
fn somebody_who_is_not_root() {
    isolated(|| {
        scene(|dir| {
            let binary = dir.join("loopkdc");
            let copied = Command::new("cp")
                .arg(env!("CARGO_BIN_EXE_loopkdc"))
                .arg(&binary)
                .status();
            assert!(copied.unwrap().success());
            fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
            let as_nobody = |words: &[&str]| {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
                command.arg(&binary).arg("krb5-conf").args(words);
                run(&mut with_program(command))
            };
            let elsewhere = "loopkdc: hint: for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf\n";
            let before = all();
            let ended = as_nobody(&["--install", "--drop-in"]);
            let told = "loopkdc: error: /etc/krb5.conf.d may not be written by this user\nloopkdc: hint: as root: sudo loopkdc krb5-conf --install --drop-in\n";
            assert_eq!(
                (ended.code, ended.stderr),
                (Some(77), format!("{told}{elsewhere}"))
            );
            let ended = as_nobody(&["--install", "--inline"]);
            let told = "loopkdc: error: /etc/krb5.conf.before-loopkdc may not be written by this user\nloopkdc: hint: as root: sudo loopkdc krb5-conf --install --inline\n";
            assert_eq!(
                (ended.code, ended.stderr),
                (Some(77), format!("{told}{elsewhere}"))
            );
            assert_eq!(all(), before);
            krb5_conf(&["--install"]).well();
            let installed = all();
            let ended = as_nobody(&["--remove"]);
            let told = "loopkdc: error: /etc/krb5.conf may not be written by this user\nloopkdc: hint: as root: sudo loopkdc krb5-conf --remove\n";
            assert_eq!(
                (ended.code, ended.stderr),
                (Some(77), format!("{told}{elsewhere}"))
            );
            assert_eq!(all(), installed);
            // To print needs no rights.
            assert_eq!(as_nobody(&[]).code, Some(0));
        });
    });
}

#[test]
fn a_file_system_that_is_read_only() {
    isolated(|| {
        scene(|_| {
            mount(&["-o", "remount,bind,ro", "/etc"]);
            let stderr = "loopkdc: error: /etc/krb5.conf.d can't be written: Read-only file system (os error 30)\n\
                loopkdc: hint: put what \"loopkdc krb5-conf\" prints where the files of this system are made\n\
                loopkdc: hint: for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf\n";
            fails(&["--install", "--drop-in"], 77, stderr);
        });
    });
}

#[test]
fn a_disk_that_is_full() {
    isolated(|| {
        scene(|dir| {
            let small = dir.join("small");
            fs::create_dir(&small).unwrap();
            mount(&[
                "-t",
                "tmpfs",
                "-o",
                "size=16k,mode=755",
                "tmpfs",
                small.to_str().unwrap(),
            ]);
            fs::write(small.join("krb5.conf"), DEBIANS).unwrap();
            // With room for the drop-in and a copy, and not for all else.
            fs::write(small.join("ballast"), [0; 4096]).unwrap();
            let config = dir.join("config.toml");
            fs::write(&config, CONFIG).unwrap();
            bind_over(&small, Path::new("/etc"));
            let words = [
                "--install",
                "--drop-in",
                "--config",
                config.to_str().unwrap(),
            ];
            let ended = krb5_conf(&words);
            assert_eq!(ended.code, Some(78), "{ended:?}");
            for told in [
                "can't be written: No space left on device",
                "\nloopkdc: hint: see what is there, and how much room: ls -ld /etc/krb5.conf\nloopkdc: hint: df -h /etc\n",
                "\nloopkdc: hint: done before that: made /etc/krb5.conf.d; wrote /etc/krb5.conf.d/00-loopkdc.conf; wrote /etc/krb5.conf.before-loopkdc\n",
                "\nloopkdc: hint: not done: /etc/krb5.conf\n",
            ] {
                assert!(ended.stderr.contains(told), "{ended:?}");
            }
            assert_eq!(fs::read_to_string("/etc/krb5.conf").unwrap(), DEBIANS);
            assert!(!all().into_keys().any(|path| is_leftover(&path)));
            // What is advised is what helps.
            fs::remove_file("/etc/ballast").unwrap();
            mount(&["-o", "remount,size=1m", "/etc"]);
            krb5_conf(&words).well();
            krb5_conf(&["--remove"]).well();
            assert_eq!(fs::read_to_string("/etc/krb5.conf").unwrap(), DEBIANS);
        });
    });
}

#[test]
fn words_that_do_not_go_together() {
    isolated(|| {
        scene(|_| {
            for words in [
                &["--install", "--remove"][..],
                &["--remove", "--unix"],
                &["--remove", "--inline"],
                &["--remove", "--drop-in"],
                &["--remove", "--only"],
                &["--install", "--inline", "--drop-in"],
                &["--remove", "--config", "x"],
            ] {
                let ended = krb5_conf(words);
                assert_eq!(ended.code, Some(78), "{words:?}");
                assert!(ended.stderr.contains("cannot be used with"), "{ended:?}");
            }
            let stderr = "loopkdc: error: the configuration has no Unix socket for the KDC service\n\
                loopkdc: hint: add one to kdc under [listen]: kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]\n";
            fails(&["--install", "--unix"], 78, stderr);
            configure("[realms.\"*\"]\nproxies = [\"https://p\"]\n");
            let stderr = "loopkdc: error: the configuration names no realm that krb5.conf could have a stanza for\n\
                loopkdc: hint: Kerberos libraries know no wildcard: add each realm that is used, as [realms.\"EXAMPLE.COM\"]\n";
            fails(&["--install"], 78, stderr);
        });
    });
}

/// Without it they would go by another, or by none.
#[test]
fn a_configuration_that_was_named_is_named_in_what_is_to_be_typed() {
    isolated(|| {
        scene(|dir| {
            let config = dir.join("a config.toml");
            fs::write(&config, CONFIG).unwrap();
            fs::remove_file("/etc/loopkdc/config.toml").unwrap();
            let config = config.to_str().unwrap();
            let typed = |words: &str| format!(": loopkdc {words} --config '{config}'");
            fs::rename("/etc/krb5.conf", "/etc/other").unwrap();
            symlink("other", "/etc/krb5.conf").unwrap();
            let install = ["--install", "--config", config];
            let ended = krb5_conf(&install);
            let then = format!("then{}\n", typed("krb5-conf --install"));
            assert!(ended.stderr.ends_with(&then), "{ended:?}");
            let ended = krb5_conf(&["--install", "--no-sssd", "--config", config]);
            let then = format!("then{}\n", typed("krb5-conf --install --no-sssd"));
            assert!(ended.stderr.ends_with(&then), "{ended:?}");

            fs::rename("/etc/other", "/etc/krb5.conf").unwrap();
            fs::create_dir_all("/etc/sssd").unwrap();
            let sssd = "[sssd]\ndomains = corp\n[domain/corp]\nid_provider = ad\nauth_provider = krb5\nkrb5_realm = EXAMPLE.COM\n";
            fs::write("/etc/sssd/sssd.conf", sssd).unwrap();
            let ended = krb5_conf(&install);
            let next = format!(
                "{}\nto undo it: loopkdc krb5-conf --remove\n",
                typed("doctor")
            );
            assert!(ended.stdout.ends_with(&next), "{ended:?}");
            let then = format!("{}\n", typed("krb5-conf --install"));
            assert!(ended.stderr.ends_with(&then), "{ended:?}");
        });
    });
}

#[test]
fn owner_mode_and_attributes_are_kept() {
    isolated(|| {
        scene(|_| {
            let file = Path::new("/etc/krb5.conf");
            chown(file, None, Some(5678)).unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
            let attribute = "trusted.test";
            rustix::fs::setxattr(file, attribute, b"label", rustix::fs::XattrFlags::empty())
                .unwrap();
            let is_kept = |path: &Path| {
                let metadata = fs::metadata(path).unwrap();
                assert_eq!((metadata.uid(), metadata.gid()), (0, 5678));
                assert_eq!(metadata.mode() & 0o7777, 0o640);
                let mut value = [0; 16];
                let length = rustix::fs::getxattr(path, attribute, &mut value).unwrap();
                assert_eq!(&value[..length], b"label");
            };
            for words in [
                &["--install", "--drop-in"][..],
                &["--install", "--inline"],
                &["--remove"],
            ] {
                krb5_conf(words).well();
                is_kept(file);
            }
            krb5_conf(&["--install", "--drop-in"]).well();
            is_kept(Path::new("/etc/krb5.conf.before-loopkdc"));
            let drop_in = fs::metadata("/etc/krb5.conf.d/00-loopkdc.conf").unwrap();
            assert_eq!((drop_in.uid(), drop_in.mode() & 0o7777), (0, 0o644));
        });
    });
}

/// The stanza of a misspelt realm is no use, and what is misspelt may be either.
#[test]
fn a_default_realm_that_differs_by_a_slip() {
    isolated(|| {
        scene(|_| {
            let slip = DEBIANS.replace("ATHENA.MIT.EDU\n\n", "EXAMPEL.COM\n\n");
            fs::write("/etc/krb5.conf", slip).unwrap();
            let ended = krb5_conf(&["--install"]);
            let told = "default_realm = EXAMPEL.COM is none of the realms in /etc/loopkdc/config.toml, which has EXAMPLE.COM\n\
                loopkdc: hint: if that is meant, write in the place of that line";
            assert!(ended.stderr.contains(told), "{ended:?}");
        });
    });
}

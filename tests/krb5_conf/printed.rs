//! What is printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::CONFIG;
use crate::etc::{DEBIANS, all, configure, furnish, krb5_conf, program, run};
use crate::support::netns::isolated;

#[test]
fn the_file_for_the_configuration() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        let before = all();
        let listen = "[listen]\nkdc = [\"127.0.0.1:8888\", \"unix:/run/k\"]\nkpasswd = [\"127.0.0.1:8464\"]\n";
        configure(&format!("{listen}{CONFIG}aliases = [\"CORP\"]\n"));
        let text = krb5_conf(&[]).well();
        let stanzas = "
[realms]
    EXAMPLE.COM = {
        kdc = 127.0.0.1:8888
        primary_kdc = 127.0.0.1:8888
        master_kdc = 127.0.0.1:8888
        kpasswd_server = 127.0.0.1:8464
    }
    CORP = {
        kdc = 127.0.0.1:8888
        primary_kdc = 127.0.0.1:8888
        master_kdc = 127.0.0.1:8888
        kpasswd_server = 127.0.0.1:8464
    }

# Which hosts are a realm's is guessed by its name.
[domain_realm]
    .example.com = EXAMPLE.COM
    example.com = EXAMPLE.COM
";
        assert!(
            text.starts_with("# Made by \"loopkdc krb5-conf --install\""),
            "{text}"
        );
        assert!(text.ends_with(stanzas), "{text}");
        let sockets = krb5_conf(&["--unix"]).well();
        assert!(sockets.contains("        kdc = /run/k\n        primary_kdc = /run/k\n        master_kdc = /run/k\n        kpasswd_server = 127.0.0.1:8464\n"));
        let inline = krb5_conf(&["--inline"]).well();
        assert_eq!(
            inline,
            format!(
                "# >>> loopkdc: added by \"loopkdc krb5-conf --install\", taken out by --remove{stanzas}# <<< loopkdc\n"
            )
        );
        assert_eq!(all(), before);
        // What is installed is what was printed, and what nothing else says.
        krb5_conf(&["--install", "--drop-in"]).well();
        let installed = fs::read_to_string("/etc/krb5.conf.d/00-loopkdc.conf").unwrap();
        let unsaid =
            "\n# Nothing else says this.\n[libdefaults]\n    dns_canonicalize_hostname = false\n";
        assert_eq!(installed, format!("{text}{unsaid}"));
    });
}

#[test]
fn what_is_to_be_known_goes_to_stderr() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(
            dir.path(),
            Some(&DEBIANS.replace("ATHENA.MIT.EDU", "EXAMPLE.COM")),
        );
        configure(&format!(
            "{CONFIG}[realms.\"*.EXAMPLE.COM\"]\nproxies = [\"https://p\"]\n"
        ));
        let wildcard = "loopkdc: warning: realm *.EXAMPLE.COM has no stanza, as Kerberos libraries know no wildcard: name each realm that is used in the configuration\n";
        let ended = krb5_conf(&[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), wildcard));
        // What stands before loopkdc's line: the drop-in is included behind it.
        let drop_in = "includedir /etc/krb5.conf.d/\n";
        let text = fs::read_to_string("/etc/krb5.conf").unwrap() + drop_in;
        fs::create_dir("/etc/krb5.conf.d").unwrap();
        fs::write("/etc/krb5.conf", text).unwrap();
        let ended = krb5_conf(&["--install", "--drop-in"]);
        assert!(ended.stderr.starts_with(wildcard), "{ended:?}");
        let first = "\nloopkdc: warning: /etc/krb5.conf:6: kdc = kerberos.mit.edu of EXAMPLE.COM is asked before loopkdc";
        assert!(ended.stderr.contains(first), "{ended:?}");
        // Another file is read where the environment names one.
        let mut install = program();
        install
            .args(["krb5-conf", "--install"])
            .env("KRB5_CONFIG", "/etc/elsewhere");
        let installed = run(&mut install);
        let named = "\nloopkdc: warning: KRB5_CONFIG is /etc/elsewhere here: what runs with it reads that and not /etc/krb5.conf";
        assert!(installed.stderr.contains(named), "{installed:?}");
    });
}

/// What is advised is what helps.
#[test]
fn a_socket_that_no_unit_opens() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        furnish(dir.path(), Some(DEBIANS));
        configure(&format!(
            "[listen]\nkdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]\n{CONFIG}"
        ));
        // Says what systemd says of units that list streams in a file of their name.
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let systemctl = "#!/bin/sh\ncd \"${0%/*}\" && [ \"$1\" = show ] && sed 's/.*/Listen=& (Stream)/' \"$3\" \"$4\" && echo UnitFileState=enabled\n";
        fs::write(bin.join("systemctl"), systemctl).unwrap();
        fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let unit = bin.join("loopkdc.socket");
        fs::write(&unit, "127.0.0.1:88\n[::1]:88\n").unwrap();
        fs::write(
            bin.join("loopkdc-kpasswd.socket"),
            "127.0.0.1:464\n[::1]:464\n",
        )
        .unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let krb5_conf =
            |words: &[&str]| run(program().env("PATH", &path).arg("krb5-conf").args(words));
        krb5_conf(&[]).well();
        let stderr = "loopkdc: warning: systemd's loopkdc.socket does not open /run/loopkdc.sock, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not\n\
            loopkdc: hint: have the unit open it, too: systemctl edit loopkdc.socket\n\
            loopkdc: hint: then: systemctl restart loopkdc.socket\n\
            loopkdc: hint: or name in [listen] what the unit opens: systemctl cat loopkdc.socket\n";
        for words in [&["--unix"][..], &["--install", "--unix"]] {
            let ended = krb5_conf(words);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), stderr));
        }
        fs::write(&unit, "127.0.0.1:88\n/run/loopkdc.sock\n").unwrap();
        krb5_conf(&["--install", "--unix"]).well();
    });
}

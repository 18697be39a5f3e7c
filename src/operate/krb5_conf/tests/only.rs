//! `--only`: what else names servers of our realms is a comment, until it is put back to the octet.

use std::fs;
use std::os::unix::fs::symlink;

use super::etc::Etc;
use crate::operate::krb5_conf::Placement::{Auto, DropIn, Inline};
use crate::operate::krb5_conf::others::TAKEN_OUT;

const NATIVE: &[u8] = b"# caf\xe9\n[realms]\n\tOTHER.TEST = {\n\t\tkdc = https://p/x\n\t}\n\tEXAMPLE.COM = {\n\t\tkdc = https://p/x\r\n\t\tkdc = 127.0.0.1\n\t\tadmin_server = dc1\n\t\tkpasswd_server = https://p/x\n\t\tdefault_domain = x\n\t}";

/// The file's lines that were taken out.
fn taken_out(etc: &Etc, name: &str) -> Vec<String> {
    let octets = fs::read(etc.path(name)).unwrap();
    let text = String::from_utf8_lossy(&octets);
    let lines = text.lines().filter_map(|line| line.strip_prefix(TAKEN_OUT));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn others_servers_of_our_realms_are_taken_out_and_put_back() {
    for placement in [Auto, DropIn, Inline] {
        let etc = Etc::with(Some(NATIVE));
        let before = etc.all();
        etc.install(placement);
        assert_eq!(taken_out(&etc, "krb5.conf"), [""; 0]);
        let said = etc.said(etc.only(placement).unwrap());
        let native = ["kdc = https://p/x", "kpasswd_server = https://p/x"];
        assert_eq!(taken_out(&etc, "krb5.conf"), native);
        for line in native {
            let told = format!("/etc/krb5.conf: \"{line}\" is a comment now");
            assert!(said.contains(&told), "{said:?}");
        }
        // A second time changes nothing.
        let all = etc.all();
        let said = etc.said(etc.only(placement).unwrap());
        assert!(
            !said.iter().any(|told| told.starts_with("wrote")),
            "{said:?}"
        );
        assert_eq!(etc.all(), all);
        // They stay so until then.
        etc.install(placement);
        assert_eq!(etc.all(), all);
        etc.install(Auto);
        assert_eq!(etc.all(), all);
        etc.remove();
        assert_eq!(etc.all(), before, "{placement:?}");
    }
}

#[test]
fn so_are_those_in_files_that_are_included() {
    let etc = Etc::with(None);
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    let corp = "[realms]\nEXAMPLE.COM = {\nkdc = dc1 # first\nprimary_kdc = dc1\n}\n";
    fs::write(etc.path("krb5.conf.d/corp"), corp).unwrap();
    fs::write(etc.path("far"), "[libdefaults]\n").unwrap();
    symlink(etc.path("far"), etc.path("krb5.conf.d/linked")).unwrap();
    let text = format!("includedir {}\n", etc.path("krb5.conf.d").display());
    fs::write(etc.file(), text).unwrap();
    let before = etc.all();
    etc.only(Auto).unwrap();
    let servers = ["kdc = dc1 # first", "primary_kdc = dc1"];
    assert_eq!(taken_out(&etc, "krb5.conf.d/corp"), servers);
    assert!(!etc.path("krb5.conf.before-loopkdc").exists());
    // What others add meanwhile stays.
    let text = fs::read_to_string(etc.path("krb5.conf.d/corp")).unwrap();
    fs::write(etc.path("krb5.conf.d/corp"), format!("# new\n{text}")).unwrap();
    etc.only(Auto).unwrap();
    etc.remove();
    let text = fs::read_to_string(etc.path("krb5.conf.d/corp")).unwrap();
    assert_eq!(text, format!("# new\n{corp}"));
    fs::write(etc.path("krb5.conf.d/corp"), corp).unwrap();
    assert_eq!(etc.all(), before);
}

/// It is not ours to follow, and nothing is done then.
#[test]
fn a_server_behind_a_link_is_told() {
    let etc = Etc::with(None);
    fs::write(etc.path("far"), NATIVE).unwrap();
    symlink(etc.path("far"), etc.path("near")).unwrap();
    fs::write(
        etc.file(),
        format!("include {}\n", etc.path("near").display()),
    )
    .unwrap();
    let before = etc.all();
    let failure = etc.only(Auto).unwrap_err();
    assert!(
        failure
            .message()
            .ends_with("near is a symbolic link, and what that leads to is not changed"),
        "{failure}"
    );
    let again = "then: loopkdc krb5-conf --install --only";
    assert_eq!(failure.hints().last().map(String::as_str), Some(again));
    assert_eq!(etc.all(), before);
    // One that became a link since keeps nobody from the rest of the removal.
    fs::remove_file(etc.path("near")).unwrap();
    fs::rename(etc.path("far"), etc.path("near")).unwrap();
    etc.only(Auto).unwrap();
    fs::rename(etc.path("near"), etc.path("far")).unwrap();
    symlink(etc.path("far"), etc.path("near")).unwrap();
    let said = etc.said(etc.remove());
    assert!(
        said.iter()
            .any(|told| told.starts_with("left comments of ours where they are: ")),
        "{said:?}"
    );
    assert!(!etc.path("krb5.conf.d/00-loopkdc.conf").exists());
}

/// Our own include brings what nobody read before.
#[test]
fn so_are_those_that_our_include_brings() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    let corp = "[libdefaults]\ndefault_realm = X\n[realms]\nEXAMPLE.COM = {\nkdc = dc1\n}\n";
    fs::write(etc.path("krb5.conf.d/corp"), corp).unwrap();
    let before = etc.all();
    for _ in 0..2 {
        etc.only(DropIn).unwrap();
        assert_eq!(taken_out(&etc, "krb5.conf.d/corp"), ["kdc = dc1"]);
        let ours = fs::read_to_string(etc.path("krb5.conf.d/00-loopkdc.conf")).unwrap();
        assert!(!ours.contains("default_realm"), "{ours}");
    }
    etc.only(Inline).unwrap();
    assert_eq!(taken_out(&etc, "krb5.conf.d/corp"), [""; 0]);
    etc.only(DropIn).unwrap();
    etc.remove();
    assert_eq!(etc.all(), before);
}

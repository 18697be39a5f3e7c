//! What is read of each form, and that our own parser takes what is written of it.

mod krb5_conf;
mod windows;

use std::path::Path;

use proptest::prelude::*;

use super::decoded;
use super::found::ImportedConfig;
use super::scan::{Surroundings, scan};
use crate::config::{Config, Sources};
use crate::operate::krb5_conf::disk::Disk;

/// Files that hold "certificate" are certificates.
impl Surroundings for Disk {
    fn certificates(&self, path: &str) -> Result<String, String> {
        match self.0.get(path).map(String::as_str) {
            Some("certificate") => Ok(path.to_owned()),
            _ => Err("holds no certificate".to_owned()),
        }
    }
}

/// Each realm with its proxies, in their order, as our own parser reads what was written.
#[track_caller]
fn realms(found: &ImportedConfig) -> Vec<String> {
    let written = found.to_string();
    let read = Config::parse(Path::new("written.toml"), &written, &Sources::default());
    let config = read.unwrap_or_else(|failure| panic!("{written}\n{failure}"));
    let shown = |entry: &crate::config::RealmEntry| {
        let proxies: Vec<_> = entry
            .proxies
            .listed()
            .iter()
            .map(ToString::to_string)
            .collect();
        format!("{} {}", entry.pattern, proxies.join(" "))
    };
    config.realms.iter().map(shown).collect()
}

#[test]
fn windows_writes_utf_16() {
    let utf_16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        b"\xff\xfe".iter().copied().chain(units).collect()
    };
    assert_eq!(decoded(utf_16("Ä\r\nb")).unwrap(), "Ä\r\nb");
    assert_eq!(decoded(b"\xef\xbb\xbfb".to_vec()).unwrap(), "b");
    assert_eq!(
        decoded(b"# caf\xe9\nb".to_vec()).unwrap(),
        "# caf\u{fffd}\nb"
    );
    assert!(decoded(b"\xff\xfea\0b".to_vec()).is_err());
    assert!(decoded(b"\xff\xfe\x00\xd8".to_vec()).is_err());
    assert!(decoded(b"\xfe\xff\0a".to_vec()).is_err());
}

/// Words that these files are made of, and a few that they are not.
fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "[realms]\n",
        "EXAMPLE.COM = {\n",
        "example.com =\n{\n",
        "A* = {\n",
        "}\n",
        "}*\n",
        "kdc = https://a.b/KdcProxy\n",
        "kdc = \"https://c.d\"\n",
        "kdc = https://",
        "kdc=dc1:88\n",
        "kpasswd_server = https://e/f\n",
        "http_anchors = FILE:/ca\n",
        "include /a\n",
        "[",
        "]",
        "{",
        "*",
        "=",
        "\n",
        "\r\n",
        " ",
        "\"",
        "\\",
        "#",
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Kerberos\\KdcProxy\\ProxyServers]\n",
        "\n\"example.com\"=\"<https a b />\"\n",
        "\n.example.com <https a:443:KdcProxy />\n",
        "\"*\"=hex(1):3c,00,",
        "@=",
        "<https",
        "/>",
        "a:443:KdcProxy",
    ];
    prop_oneof![4 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

proptest! {
    // What fails is written down as a test of its own.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_taken_is_valid(words in proptest::collection::vec(word(), 0..60)) {
        let text = words.concat();
        let mut disk = Disk::with(&[("/a", "[realms]\nA = {\nkdc = https://a\n}\n"), ("/ca", "no certificate")]);
        // Of the same words, a krb5.conf, an export, and lines of realms.
        let texts = [text.clone(), format!("REGEDIT4\n{text}"), format!("a.b <https a />\n{text}")];
        for text in texts {
            let mut found = scan("/etc/krb5.conf", &text, &mut disk);
            realms(&found);
            for note in found.notes() {
                prop_assert!(!note.contains(char::is_control), "{note:?}");
            }
        }
    }
}

//! What is read of each form, and that our own parser takes what is written of it.

mod apple;
mod decode;
mod krb5_conf;
mod rdp;
mod windows;

use std::path::Path;

use proptest::prelude::*;

use super::scan::scan;
use crate::config::{Config, Proxies, ProxyUrl, Sources};
use crate::operate::krb5_conf::disk::{Disk, told};
use crate::wire::ByService;

/// Each realm with its proxies, in their order, as our own parser reads what was written, those that lead to the primary KDC with an
/// asterisk, and others for password changes; and then the notes.
#[track_caller]
fn imported(text: &str, disk: &[(&str, &str)]) -> Vec<String> {
    let mut found = scan("/etc/krb5.conf", text, None, &mut Disk::with(disk));
    found.check_ca_files();
    let written = found.to_string();
    let read = Config::parse(Path::new("written.toml"), &written, &Sources::default());
    let config = read.unwrap_or_else(|failure| panic!("{written}\n{failure}"));
    let shown = |entry: &crate::config::RealmEntry| {
        let Proxies::Listed(ByService { kdc, kpasswd }) = &entry.proxies else {
            panic!("{written}");
        };
        let urls = |list: &[(ProxyUrl, bool)]| {
            let mark = |primary: &bool| if *primary { "*" } else { "" };
            let urls = list.iter();
            let urls = urls.map(|(url, primary)| format!(" {url}{}", mark(primary)));
            urls.collect::<String>()
        };
        let mut usual = kdc.clone();
        usual.sort_by_key(|(_, primary)| !primary);
        let others = (*kpasswd != usual).then(|| format!(" kpasswd{}", urls(kpasswd)));
        let kpasswd = others.unwrap_or_default();
        format!("{}{}{kpasswd}", entry.pattern, urls(kdc))
    };
    let realms = config.realms.iter().map(shown);
    let notes = found.notes().into_iter();
    realms
        .chain(notes.map(|(place, what)| told(&place, &what)))
        .collect()
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
        "primary_kdc = https://e/f\n",
        "master_kdc = https://a.b/KdcProxy\n",
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
        "REG_SZ",
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
        let disk = [("/a", "[realms]\nA = {\nkdc = https://a\n}\n")];
        // Of the same words, a krb5.conf, an export, and lines of realms.
        let texts = [text.clone(), format!("REGEDIT4\n{text}"), format!("a.b <https a />\n{text}")];
        for text in texts {
            for line in imported(&text, &disk) {
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}

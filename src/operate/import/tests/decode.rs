//! Octets that become text.

use super::imported;
use crate::operate::import::decode::decoded;

const TEXT: &str = "\"a.b\"=\"<https p:443:\u{e4} />\"\r\n; \u{20ac}\r\n";

fn utf_16(text: &str, octets: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(octets).collect()
}

#[test]
fn text_is_read_in_any_encoding_of_windows() {
    let marked = format!("\u{feff}{TEXT}");
    let ansi = b"\"a.b\"=\"<https p:443:\xe4 />\"\r\n; \x80\r\n";
    for octets in [
        TEXT.as_bytes(),
        marked.as_bytes(),
        &utf_16(TEXT, u16::to_le_bytes),
        &utf_16(TEXT, u16::to_be_bytes),
        &utf_16(&marked, u16::to_le_bytes),
        &utf_16(&marked, u16::to_be_bytes),
        ansi,
    ] {
        let text = decoded(octets);
        assert_eq!(text, TEXT);
        assert_eq!(imported(&text, &[]), ["A.B https://p/%C3%A4"]);
    }
    // What is in none does no harm.
    for octets in [
        &b"\xff\xfea\0b"[..],
        b"\xff\xfe\x00\xd8",
        b"\xfe\xff\0a",
        b"PReg\x01\0\0\0x\0[",
        b"\0",
    ] {
        assert_eq!(imported(&decoded(octets), &[]), [""; 0]);
    }
}

/// An entry of a Registry.pol.
fn entry(name: &str, kind: u32, data: &[u8]) -> Vec<u8> {
    let semicolon = utf_16(";", u16::to_le_bytes);
    let key =
        r"Software\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers";
    let size = u32::try_from(data.len()).unwrap();
    [
        &utf_16(&format!("[{key}\0"), u16::to_le_bytes),
        &semicolon,
        &utf_16(&format!("{name}\0"), u16::to_le_bytes),
        &semicolon,
        &kind.to_le_bytes()[..],
        &semicolon,
        &size.to_le_bytes(),
        &semicolon,
        data,
        &utf_16("]", u16::to_le_bytes),
    ]
    .concat()
}

#[test]
fn a_registry_pol_is_read_entry_by_entry() {
    // Its size is that of an asterisk.
    let value = utf_16("<https abc.ab.com />\0", u16::to_le_bytes);
    assert_eq!(value.len(), usize::from(b'*'));
    let entries = [
        b"PReg\x01\0\0\0".to_vec(),
        entry("KdcProxyServer_Enabled", 4, &0_u32.to_le_bytes()),
        // An odd number of octets.
        entry("other", 3, b"abc"),
        entry("**del.old.com", 1, &utf_16(" \0", u16::to_le_bytes)),
        entry("a.com", 1, &value),
        entry("corp\n\u{1b}", 1, &value),
        entry(".b.com", 1, &utf_16("<https q />\0", u16::to_le_bytes)),
        entry("ForceProxy", 4, &1_u32.to_le_bytes()),
    ];
    let text = decoded(&entries.concat());
    assert_eq!(
        imported(&text, &[]),
        [
            "A.COM https://abc.ab.com/KdcProxy",
            "*.B.COM https://q/KdcProxy",
            "line 1: \"KdcProxyServer_Enabled\"=dword:00000000: Windows follows no list there",
            "line 5: realm CORP\u{fffd}\u{fffd}: the realm holds a character that cannot be shown",
        ]
    );
    assert!(
        text.ends_with("\n\"ForceProxy\"=dword:00000001\n"),
        "{text}"
    );
    // What is broken is read as far as it can be.
    let cut = decoded(
        &[
            &entries[..5].concat()[..],
            b"\n\0",
            &utf_16("c.d <https r />", u16::to_le_bytes),
        ]
        .concat(),
    );
    assert!(
        imported(&cut, &[]).contains(&"C.D https://r/KdcProxy".to_owned()),
        "{cut}"
    );
}

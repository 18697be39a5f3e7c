//! Octets that become text.

use super::imported;
use super::windows::{exported, exported_by};
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

/// Octets as an export has them, ten to a line.
fn hexadecimal(octets: &[u8]) -> String {
    let lines = octets.chunks(10).map(|octets| {
        let octets: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        octets.join(",")
    });
    lines.collect::<Vec<_>>().join(",\\\r\n  ")
}

#[test]
fn values_in_hexadecimal_are_read_as_what_they_are() {
    let utf_16 = |text: &str| hexadecimal(&utf_16(text, u16::to_le_bytes));
    let values = format!(
        "\"a.b\"=hex(1):{}\r\n\"c.d\"=hex(2):{}\r\n\".e.f\"=hex(7):{}\r\n\"i.j\"=hex(1):3c,0\\x,00\r\n\
         \"KdcProxyServer_Enabled\"=hex(4):00,00,00,00\r\n\"ForceProxy\"=hex(4):00,00,00,00",
        utf_16("<https p:443:x />\0"),
        utf_16("<https q />\0"),
        utf_16("<https r\0t />\0\0"),
    );
    let line = |begin: &str| {
        4 + values
            .lines()
            .position(|line| line.starts_with(begin))
            .unwrap()
    };
    assert_eq!(
        exported(&values),
        [
            "A.B https://p/x".to_owned(),
            "C.D https://q/KdcProxy".to_owned(),
            "*.E.F https://r/KdcProxy https://t/KdcProxy".to_owned(),
            format!(
                "line {}: \"i.j\"=hex(1):3c,0\\x,00: not in the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />",
                line("\"i.j")
            ),
            format!(
                "line {}: \"KdcProxyServer_Enabled\"=dword:00000000: Windows follows no list there",
                line("\"KdcProxyServer")
            ),
        ]
    );
    let value = format!(
        "\"a.b\"=hex(7):{}",
        hexadecimal(b"<https s\0t:443:\xe4 />\0\0")
    );
    let found = exported_by("REGEDIT4", &value);
    assert_eq!(found, ["A.B https://s/KdcProxy https://t/%C3%A4"]);
}

//! The list of the Windows policy.

use super::{Disk, realms};
use crate::operate::import::found::ImportedConfig;
use crate::operate::import::scan::scan;

const KEY: &str = r"[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers]";

fn read(text: &str) -> ImportedConfig {
    scan("/proxies", text, &mut Disk::default())
}

/// The realms of an export with these values, and then the notes.
#[track_caller]
fn exported(values: &str) -> Vec<String> {
    let text = format!("Windows Registry Editor Version 5.00\r\n\r\n{KEY}\r\n{values}\r\n");
    let mut found = read(&text);
    assert!(found.remarks[0].contains("in an export of the Windows registry"));
    let realms = realms(&found);
    realms.into_iter().chain(found.notes()).collect()
}

/// The same of lines.
#[track_caller]
fn listed(lines: &str) -> Vec<String> {
    let mut found = read(lines);
    assert!(found.remarks[0].contains("lines of a realm and its <https"));
    let realms = realms(&found);
    realms.into_iter().chain(found.notes()).collect()
}

#[test]
fn names_are_full_matches_suffixes_or_the_default() {
    assert_eq!(
        exported(
            "\"corp.contoso.com\"=\"<https p />\"\r\n\".contoso.com\"=\"<https q />\"\r\n\"*\"=\"<https r />\""
        ),
        [
            "CORP.CONTOSO.COM https://p/KdcProxy",
            "*.CONTOSO.COM https://q/KdcProxy",
            "* https://r/KdcProxy"
        ]
    );
}

#[test]
fn servers_have_ports_and_paths_and_stand_side_by_side() {
    assert_eq!(
        exported(
            "\"a.b\"=\"<https p:443:kdcproxy/>\"\r\n\"c.d\"=\"<https  p q:8443,r::jet/KdcProxy/t  p:443:/KdcProxy [2001:db8::1]:444 />\""
        ),
        [
            "A.B https://p/kdcproxy",
            "C.D https://p/KdcProxy https://q:8443/KdcProxy https://r/jet/KdcProxy/t https://[2001:db8::1]:444/KdcProxy",
        ]
    );
}

#[test]
fn one_name_in_two_spellings_is_one_realm() {
    assert_eq!(
        exported("\"a.b\"=\"<https p />\"\r\n\"A.B\"=\"<https p q />\""),
        [
            "A.B https://p/KdcProxy https://q/KdcProxy",
            "line 5: realm A.B: is A.B of line 4 here, as letter case makes no difference: they share their proxies",
        ]
    );
}

#[test]
fn text_in_hexadecimal_goes_over_lines() {
    let hex = |text: &str| {
        let octets = text.encode_utf16().flat_map(u16::to_le_bytes);
        octets
            .map(|octet| format!("{octet:02x}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let text = hex("<https p />\0");
    let (one, two) = text.split_at(30);
    for kind in ["hex(1)", "hex(2)"] {
        assert_eq!(
            exported(&format!("\"a.b\"={kind}:{one}\\\r\n  {two}")),
            ["A.B https://p/KdcProxy"]
        );
    }
    assert_eq!(
        exported(&format!("\"a.b\"=hex(7):{}", hex("<https p />\0\0"))),
        ["A.B https://p/KdcProxy"]
    );
    assert_eq!(
        exported(&format!(
            "\"a.b\"=hex(7):{}",
            hex("<https p />\0<https q />\0\0")
        )),
        ["line 4: a.b: the value is a list of texts"]
    );
    assert_eq!(
        exported("\"a.b\"=hex(1):3c,zz"),
        ["line 4: a.b: the value is no text"]
    );
    assert_eq!(
        exported("\"a.b\"=hex(1):00,d8"),
        ["line 4: a.b: the value is not UTF-16"]
    );
}

#[test]
fn values_that_lead_nowhere_are_told() {
    assert_eq!(
        exported(
            "@=\"<https p />\"\r\n\"a.b\"=\"https://p/KdcProxy\"\r\n\"a.b\"=\"<http p />\"\r\n\"a.b\"=\"<https p /><https q />\"\r\n\"a.b\"=\"<httpsp />\"\r\n\
             \"a.b\"=\"<https />\"\r\n\"a.b\"=dword:00000001\r\n\"a.b\"=-\r\n; a comment\r\n\r\n\"*.b\"=\"<https p />\"\r\nnonsense"
        ),
        [
            "line 4: <https p />: no realm stands before it",
            "line 5: a.b https://p/KdcProxy: is not in the form <https proxy.example.com:443:KdcProxy />",
            "line 6: a.b <http p />: is not in the form <https proxy.example.com:443:KdcProxy />",
            "line 7: a.b <https p /><https q />: is not in the form <https proxy.example.com:443:KdcProxy />",
            "line 8: a.b <httpsp />: is not in the form <https proxy.example.com:443:KdcProxy />",
            "line 9: a.b <https />: no server is left of it",
            "line 10: a.b: the value is no text",
            "line 11: a.b: the value is deleted here",
            "line 14: *.b <https p />: what stands before it is no DNS name",
            "line 15: is no value of the registry",
        ]
    );
}

#[test]
fn servers_that_are_none_are_told_beside_those_that_are() {
    assert_eq!(
        exported(
            "\"a.b\"=\"<https p p:0 p:x p:99999 p/KdcProxy https://p u@p [::1 p:443:a#b [::1]x />\""
        ),
        [
            "A.B https://p/KdcProxy",
            "line 4: p:0: 0 is no port",
            "line 4: p:x: x is no port",
            "line 4: p:99999: 99999 is no port",
            "line 4: p/KdcProxy: host:port:path must stand here",
            "line 4: https://p: Windows has host:port:path here, and no URL",
            "line 4: u@p: host:port:path must stand here",
            "line 4: [::1: not a URL: invalid IPv6 address",
            "line 4: p:443:a#b: a proxy's URL has no fragment: it would never be sent",
            "line 4: [::1]x: a : must stand behind the host",
        ]
    );
}

#[test]
fn the_key_is_read_in_any_case_and_in_its_hive_alone() {
    let other = KEY.replace("LOCAL_MACHINE", "CURRENT_USER");
    let text = format!(
        "REGEDIT4\n\n{}\n\"a.b\"=\"<https p />\"\n{other}\n\"c.d\"=\"<https p />\"\n[HKLM{}\n\"e.f\"=\"<https p />\"\n[-{}\n[HKEY_LOCAL_MACHINE\\SOFTWARE]\n\"g.h\"=\"<https p />\"\n",
        KEY.to_lowercase(),
        &KEY["[HKEY_LOCAL_MACHINE".len()..],
        &KEY[1..]
    );
    let mut found = read(&text);
    assert_eq!(
        realms(&found),
        ["A.B https://p/KdcProxy", "E.F https://p/KdcProxy"]
    );
    let notes = found.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].starts_with("line 5: [HKEY_CURRENT_USER")
            && notes[0].contains("HKEY_LOCAL_MACHINE alone"),
        "{notes:?}"
    );
    assert!(
        notes[1].starts_with("line 9: [-HKEY_LOCAL_MACHINE")
            && notes[1].ends_with("the list is deleted here"),
        "{notes:?}"
    );
}

#[test]
fn a_policy_that_is_disabled_is_told() {
    let policy = KEY.replace(r"\KdcProxy\ProxyServers", "");
    for (value, notes) in [("00000000", 1), ("00000001", 0)] {
        let text = format!(
            "{policy}\n\"KdcProxyServer_Enabled\"=dword:{value}\n{KEY}\n\"a.b\"=\"<https p />\"\n"
        );
        let mut found = read(&text);
        assert_eq!(realms(&found), ["A.B https://p/KdcProxy"]);
        assert_eq!(found.notes().len(), notes);
    }
}

#[test]
fn lines_are_as_one_writes_them_or_as_reg_query_shows_them() {
    assert_eq!(
        listed(
            "# a comment\nEXAMPLE.COM  <https a b:443:path />\n\nHKEY_LOCAL_MACHINE\\SOFTWARE\n    example.org    REG_SZ    <https kps.example.org:443:kdcproxy />\n\
             \"a.b\" = \"<https p />\"\nc.d=<https q />\n<https r />\nx y <https s />\nexample.net\n"
        ),
        [
            "EXAMPLE.COM https://a/KdcProxy https://b/path",
            "EXAMPLE.ORG https://kps.example.org/kdcproxy",
            "A.B https://p/KdcProxy",
            "C.D https://q/KdcProxy",
            "line 8: <https r />: no realm stands before it",
            "line 9: x y <https s />: what stands before it is no DNS name",
            "line 10: is not of the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />",
        ]
    );
}

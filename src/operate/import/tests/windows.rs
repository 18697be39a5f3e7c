//! The list of the Windows policy.

use super::imported;

/// What is read of an export with these values, the first of which is in its line 4.
#[track_caller]
fn exported(values: &str) -> Vec<String> {
    let key = r"[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers]";
    let text = format!("Windows Registry Editor Version 5.00\r\n\r\n{key}\r\n{values}\r\n");
    imported(&text, &[])
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
        ["A.B https://p/KdcProxy https://q/KdcProxy"]
    );
}

#[test]
fn values_that_lead_nowhere_are_told() {
    let form = "not in the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />";
    assert_eq!(
        exported(
            "@=\"<https p />\"\r\n\"a.b\"=\"https://p/KdcProxy\"\r\n\"a.b\"=\"<https p /><https q />\"\r\n\"a.b\"=\"<httpsp />\"\r\n\
             \"c.d\"=\"<https />\"\r\n\"a.b\"=dword:00000001\r\n; https: a comment\r\n\r\n\"*.*.b\"=\"<https p />\"\r\nnonsense"
        ),
        [
            format!("line 4: @=\"<https p />\": {form}"),
            format!("line 5: \"a.b\"=\"https://p/KdcProxy\": {form}"),
            format!("line 6: \"a.b\"=\"<https p /><https q />\": {form}"),
            format!("line 7: \"a.b\"=\"<httpsp />\": {form}"),
            "line 8: realm C.D names no KDC proxy, and is left out".to_owned(),
            "line 12: realm *.*.B: * stands alone or before a dot".to_owned(),
        ]
    );
}

#[test]
fn what_windows_does_not_follow_is_told() {
    let key = r"HKEY_LOCAL_MACHINE\SOFTWARE\Kerberos\KdcProxy\ProxyServers";
    let of_user = key.replace("LOCAL_MACHINE", "CURRENT_USER");
    let value = "\"a.b\"=\"<https p />\"";
    for header in [
        format!("[-{key}]"),
        format!("[{of_user}]"),
        format!("[{key}\\Old]"),
    ] {
        assert_eq!(
            exported(&format!(
                "{header}\r\n{value}\r\n[{key}]\r\n{}",
                value.replace('a', "c")
            )),
            [
                "C.B https://p/KdcProxy".to_owned(),
                format!("line 5: {value}: not in force under {header}"),
            ]
        );
    }
}

#[test]
fn a_list_that_is_switched_off_is_told() {
    let off = "\"KdcProxyServer_Enabled\"=dword:00000000";
    assert_eq!(
        exported(&format!(
            "\"a.b\"=\"<https p />\"\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE]\r\n{off}"
        )),
        [
            "A.B https://p/KdcProxy".to_owned(),
            format!("line 6: {off}: Windows follows no list there"),
        ]
    );
}

#[test]
fn values_in_hexadecimal_are_told() {
    assert_eq!(
        exported("\"a.b\"=hex(1):3c,00,68,00,\\\r\n  74,00"),
        ["line 4: \"a.b\"=hex(1): not read in hexadecimal, only as text"]
    );
}

#[test]
fn servers_that_are_none_are_told_beside_those_that_are() {
    let servers = "p:0 p:x p:99999 p/KdcProxy https://p u@p [::1 p:443:a#b [::1]x";
    let mut expected = vec!["A.B https://p/KdcProxy".to_owned()];
    let told = |server: &str| format!("line 4: {server}: not in the form host:port:path");
    expected.extend(servers.split(' ').map(told));
    let mut found = exported(&format!("\"a.b\"=\"<https p {servers} />\""));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn lines_are_as_one_writes_them_or_as_reg_query_shows_them() {
    assert_eq!(
        imported(
            "# a comment\nEXAMPLE.COM  <https a b:443:path />\n\nHKEY_LOCAL_MACHINE\\SOFTWARE\n    example.org    REG_SZ    <https kps.example.org:443:kdcproxy />\n\
             \"a.b\" = \"<https p />\"\nc.d=<https q />\nx y <https s />\nexample.net\n",
            &[]
        ),
        [
            "EXAMPLE.COM https://a/KdcProxy https://b/path",
            "EXAMPLE.ORG https://kps.example.org/kdcproxy",
            "A.B https://p/KdcProxy",
            "C.D https://q/KdcProxy",
            "line 8: x y <https s />: not in the form EXAMPLE.COM <https proxy.example.com:443:KdcProxy />",
        ]
    );
}

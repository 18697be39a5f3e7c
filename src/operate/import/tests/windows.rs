//! The list of the Windows policy.

use super::imported;
use crate::operate::import::decode::decoded;
use crate::operate::import::scan::scan;
use crate::operate::krb5_conf::disk::Disk;

/// What is read of an export with these values, the first of which is in its line 4.
#[track_caller]
pub(super) fn exported(values: &str) -> Vec<String> {
    exported_by("Windows Registry Editor Version 5.00", values)
}

/// The same of an export of another version.
#[track_caller]
pub(super) fn exported_by(version: &str, values: &str) -> Vec<String> {
    let key = r"[HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers]";
    let text = format!("{version}\r\n\r\n{key}\r\n{values}\r\n");
    imported(&decoded(text.as_bytes()), &[])
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
    let nameless = "no realm stands with it, and no --realm says one";
    assert_eq!(
        exported(
            "@=\"<https p />\"\r\n\"a.b\"=\"https://p/KdcProxy\"\r\n\"a.b\"=\"<https p /><https q />\"\r\n\"a.b\"=\"<httpsp />\"\r\n\
             \"c.d\"=\"<https />\"\r\n\"a.b\"=dword:00000001\r\n; https: a comment\r\n\r\n\"*.*.b\"=\"<https p />\"\r\nnonsense\r\n\"e.f\"=\"p\""
        ),
        [
            "A.B https://p/KdcProxy".to_owned(),
            format!("line 4: <https p />: {nameless}"),
            format!("line 5: \"a.b\"=\"https://p/KdcProxy\": {form}"),
            format!("line 6: <https q />: {nameless}"),
            format!("line 7: <httpsp />\": {form}"),
            "line 8: realm C.D names no KDC proxy, and is left out".to_owned(),
            "line 12: realm *.*.B: * stands alone or before a dot".to_owned(),
            format!("line 14: \"e.f\"=\"p\": {form}"),
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
                format!("line 5: <https p />: not in force under {header}"),
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
fn servers_that_are_none_are_told_beside_those_that_are() {
    let servers = "p:0 p:x p:99999 p/KdcProxy https://p u@p [::1 p:443:a#b [::1]x";
    let mut expected = vec!["A.B https://p/KdcProxy".to_owned()];
    let told = |server: &str| {
        let shown = server.replace("u@", "*@");
        format!("line 4: {shown}: not in the form host:port:path")
    };
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
            "line 8: <https s />: no realm stands with it, and no --realm says one",
        ]
    );
}

/// Each is a file, or a part of one, in which `*.EXAMPLE.COM` or `EXAMPLE.COM` has the proxy `p.example.com`.
const FORMS: &[(&str, &str)] = &[
    // The name of the realm, and the text.
    (
        "EXAMPLE.COM",
        r#"reg add "HKLM\Software\Microsoft\Windows\CurrentVersion\Policies\System\Kerberos\KdcProxy\ProxyServers" /v example.com /t REG_SZ /d "<https p.example.com:443:kdcproxy />" /f"#,
    ),
    (
        "EXAMPLE.COM",
        r#"reg.exe add HKLM\Software\x /d "<https p.example.com:443:kdcproxy />" /t REG_SZ /v example.com /f"#,
    ),
    (
        "CORP",
        r#"reg add HKLM\Software\x /v CORP /t REG_SZ /d "<https p.example.com:443:kdcproxy />""#,
    ),
    (
        "*.EXAMPLE.COM",
        "Value name      Value\n.example.com    <https p.example.com:443:kdcproxy />\n",
    ),
    (
        "EXAMPLE.COM",
        "Value name=example.com\nValue=<https p.example.com:443:kdcproxy />\n",
    ),
    (
        "EXAMPLE.COM",
        "Wertname:\n  example.com\nWert:\n  <https p.example.com:443:kdcproxy />\n",
    ),
    // The registry's editor, exporting text.
    (
        "EXAMPLE.COM",
        "Key Name:          HKEY_LOCAL_MACHINE\\SOFTWARE\\ProxyServers\nClass Name:        <NO CLASS>\nLast Write Time:   12/1/2026 - 10:00 AM\nValue 0\n  Name:            example.com\n  Type:            REG_SZ\n  Data:            <https p.example.com:443:kdcproxy />\n\n",
    ),
    (
        "EXAMPLE.COM",
        "Wert 0\n  Name:            example.com\n  Typ:             REG_SZ\n  Daten:           <https p.example.com:443:kdcproxy />\n",
    ),
    // LGPO.exe /parse.
    (
        "EXAMPLE.COM",
        "; a comment\n\nComputer\nSoftware\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Kerberos\\KdcProxy\\ProxyServers\nexample.com\nSZ:<https p.example.com:443:kdcproxy />\n",
    ),
    (
        "EXAMPLE.COM",
        "Computer\nSoftware\\x\nexample.com\nEXSZ:<https p.example.com:443:kdcproxy />\n",
    ),
    (
        "CORP",
        "HKEY_LOCAL_MACHINE\\x\n    CORP    REG_MULTI_SZ    <https p.example.com:443:kdcproxy />\n",
    ),
    (
        "*",
        "Computer\nSoftware\\x\n*\nSZ:<https p.example.com:443:kdcproxy />\n",
    ),
    // Of a GPO's backup: gpreport.xml, and Registry.xml of its preferences.
    (
        "EXAMPLE.COM",
        "<q1:Name>Specify KDC proxy servers for Kerberos clients</q1:Name>\n<q1:Element>\n<q1:Name>example.com</q1:Name>\n<q1:Data>&lt;https p.example.com:443:kdcproxy /&gt;</q1:Data>\n",
    ),
    (
        "corp",
        "<q1:Name>Specify KDC proxy servers for Kerberos clients</q1:Name>\n<q1:Name>corp</q1:Name>\n<q1:Data>&lt;https p.example.com:443:kdcproxy /&gt;</q1:Data>\n",
    ),
    (
        "EXAMPLE.COM",
        r#"<Registry clsid="{9CD4B2F4-923D-47f5-A062-E897DD1DAD50}" name="example.com" image="7" changed="2024-05-01 10:00:00"><Properties action="U" hive="HKEY_LOCAL_MACHINE" key="SOFTWARE\x\ProxyServers" name="example.com" type="REG_SZ" value="&lt;https p.example.com:443:kdcproxy /&gt;"/></Registry>"#,
    ),
    (
        "EXAMPLE.COM",
        "<tr><td>example.com</td><td>&lt;https p.example.com:443:kdcproxy /&gt;</td></tr>",
    ),
    // Intune: OMA-URI, as it is typed and within SyncML, and an export of its JSON.
    (
        "EXAMPLE.COM",
        r#"<enabled/><data id="KdcProxyServer_List" value="example.com&#xF000;&lt;https p.example.com:443:kdcproxy /&gt;"/>"#,
    ),
    (
        "*",
        r#"<Data>&lt;enabled/&gt;&lt;data id=&quot;KdcProxyServer_List&quot; value=&quot;*&amp;#xF000;&amp;lt;https p.example.com:443:kdcproxy /&amp;gt;&quot;/&gt;</Data>"#,
    ),
    (
        "EXAMPLE.COM",
        r#"[{"name":"example.com","value":"\u003chttps p.example.com:443:kdcproxy /\u003e"}]"#,
    ),
    // As people write it down.
    (
        "EXAMPLE.COM",
        "Realm example.com\nKDC: <https p.example.com:443:kdcproxy />\n",
    ),
    (
        "EXAMPLE.COM",
        "example.com -> <https p.example.com:443:kdcproxy />",
    ),
    (
        "EXAMPLE.COM",
        "KDC proxy of example.com\u{2192}<https p.example.com:443:kdcproxy />.",
    ),
    (
        "EXAMPLE.COM",
        "| Realm | Proxy |\n|---|---|\n| `example.com` | `<https p.example.com:443:kdcproxy />` |",
    ),
    (
        "EXAMPLE.COM",
        "# Realm EXAMPLE.COM, by p.example.com\n\n- <https p.example.com:443:kdcproxy />\n- see <https://p.example.com/>\n",
    ),
    (
        "EXAMPLE.COM",
        "The realm (example.com):\n\n\nhost: p.example.com\n<https p.example.com:443:kdcproxy />\n",
    ),
    // PowerShell: Get-ItemProperty, Get-GPRegistryValue, and a script.
    (
        "EXAMPLE.COM",
        "\r\nexample.com  : <https \r\n               p.example.com:443:kdcproxy />\r\nPSPath       : Microsoft.PowerShell.Core\\Registry::HKEY_LOCAL_MACHINE\\SOFTWARE\\ProxyServers\r\nPSChildName  : ProxyServers\r\n",
    ),
    (
        "EXAMPLE.COM",
        "KeyPath     : Software\\x\\ProxyServers\nHive        : LocalMachine\nPolicyState : Set\nValue       : <https p.example.com:443:kdcproxy />\nType        : String\nValueName   : example.com\nHasValue    : True\n",
    ),
    (
        "EXAMPLE.COM",
        r#"Set-GPRegistryValue -Name "GPO" -Key "HKLM\x\ProxyServers" -Type String -Value "<https p.example.com:443:kdcproxy />" -ValueName "example.com""#,
    ),
];

#[test]
fn a_value_is_found_in_any_text_with_the_name_that_stands_with_it() {
    for (realm, text) in FORMS {
        assert_eq!(
            imported(text, &[]),
            [format!(
                "{} https://p.example.com/kdcproxy",
                realm.to_uppercase()
            )],
            "{text}"
        );
    }
}

#[test]
fn each_value_has_its_own_name() {
    let values = "Value : <https a />\nValueName : a.com\nHasValue : True\n\nValue : <https b />\nValueName : b.com\n";
    let one_line = r#"[{"Value":"<https a />","ValueName":"a.com"},{"Value":"<https b />","ValueName":"b.com"}]"#;
    let list =
        "<data value=\"a.com&#xF000;&lt;https a /&gt;&#xF000;b.com&#xF000;&lt;https b /&gt;\"/>";
    for text in [values, one_line, list] {
        assert_eq!(
            imported(text, &[]),
            ["A.COM https://a/KdcProxy", "B.COM https://b/KdcProxy"],
            "{text}"
        );
    }
}

#[test]
fn words_that_are_no_names_of_realms_are_none() {
    for before in [
        "Value : ",
        "Default policy\nValue: ",
        "-Name \"Default Domain Policy\" -Value ",
        "import C:\\proxies.reg, then ",
        "by admin@example.com, version 2.0: ",
        "see https://example.com/x ",
        "%USERDNSDOMAIN% $env:USERDNSDOMAIN ",
        "(Default)    REG_SZ    ",
        "the realm is ",
        "the name of the realm of users: ",
        "Value name  Value\n",
        "PROXY: ",
    ] {
        assert_eq!(
            imported(&format!("{before}<https p />"), &[]),
            [format!(
                "line {}: <https p />: no realm stands with it, and no --realm says one",
                before.lines().count().max(1) + usize::from(before.ends_with('\n'))
            )],
            "{before}"
        );
    }
}

#[test]
fn a_realm_that_was_given_is_that_of_values_without_one() {
    for text in ["<https p />", "\u{feff}<https p />", "kdcproxyname:s:p"] {
        let found = scan("/f", text, Some("example.com"), &mut Disk::default());
        assert_eq!(
            found.to_string(),
            "\n[realms.\"example.com\"]\nproxies = [\n    \"https://p/KdcProxy\",\n]\n"
        );
        assert!(found.notes().is_empty());
    }
    let found = scan(
        "/f",
        "a.b <https p />\n\n<https q />",
        Some("C"),
        &mut Disk::default(),
    );
    let realms = found.to_string();
    assert!(
        realms.contains("\"A.B\"]") && realms.contains("\"C\"]"),
        "{realms}"
    );
}

#[test]
fn values_in_comments_are_told() {
    let left_out = "<https p />: in a comment, and left out";
    assert_eq!(
        imported(
            "a.b <https a />\n; c.d <https p />\nrem reg add /v c.d /d \"<https p />\"\n<!--\nc.d <https p />\n--> e.f <https e />",
            &[]
        ),
        [
            "A.B https://a/KdcProxy".to_owned(),
            "E.F https://e/KdcProxy".to_owned(),
            format!("line 2: {left_out}"),
            format!("line 3: {left_out}"),
            format!("line 5: {left_out}"),
        ]
    );
}

#[test]
fn a_script_with_variables_is_told() {
    assert_eq!(
        imported("a.b <https $Fqdn`:$Port`:kdcproxy $Fqdn p />", &[]),
        [
            "A.B https://p/KdcProxy",
            "line 1: $Fqdn: not in the form host:port:path",
            "line 1: $Fqdn`:$Port`:kdcproxy: not in the form host:port:path",
        ]
    );
}

#[test]
fn what_switches_the_list_off_is_told_in_each_form() {
    for line in [
        "reg add HKLM\\x /v KdcProxyServer_Enabled /t REG_DWORD /d 0 /f",
        "    KdcProxyServer_Enabled    REG_DWORD    0x0",
        "KdcProxyServer_Enabled : 0",
    ] {
        assert_eq!(
            imported(&format!("a.b <https p />\n{line}\nx 1\n"), &[]),
            [
                "A.B https://p/KdcProxy".to_owned(),
                format!("line 2: {}: Windows follows no list there", line.trim()),
            ]
        );
    }
}

#[test]
fn a_forced_proxy_rules_direct_out() {
    let of = |text: &str| {
        let text = format!("a.b <https p />\n\n{text}\n");
        let found = scan("/f", &text, None, &mut Disk::default()).to_string();
        imported(&text, &[]);
        found.starts_with("\n[defaults]\n# With ForceProxy, Windows asks no KDC itself.\ndirect = \"never\"\n\n[realms.\"A.B\"]\n")
    };
    for set in [
        "\"ForceProxy\"=dword:00000001",
        "reg add HKLM\\x\\Parameters /v ForceProxy /t REG_DWORD /d 1 /f",
        "    ForceProxy    REG_DWORD    0x1",
        "ForceProxy : 1",
        "Computer\nSoftware\\x\nForceProxy\nDWORD:1",
        "<q1:Name>ForceProxy</q1:Name>\n<q1:Number>1</q1:Number>",
        "<Properties name=\"ForceProxy\" type=\"REG_DWORD\" value=\"00000001\"/>",
        "New-ItemProperty -Path $x -Name \"ForceProxy\" -Type DWORD -Value 1 -Force",
        "Value : 1\nType : DWord\nValueName : ForceProxy\nHasValue : True",
        "Value 3\n  Name:            ForceProxy\n  Type:            REG_DWORD\n  Data:            0x1",
    ] {
        assert!(of(set), "{set}");
        let (unset, commented) = (
            set.replace('1', "0"),
            format!("; {}", set.replace('\n', "\n; ")),
        );
        assert!(!of(&unset), "{unset}");
        assert!(!of(&commented), "{commented}");
    }
    for other in [
        "Remove-ItemProperty -Path $x -Name ForceProxy -Force",
        "\"ForceProxy\"=-\n\"Other\"=dword:00000001",
        "Value : 1\nValueName : Other\n\nValueName : ForceProxy",
        "Value 1\n  Name:            ForceProxy\n  Type:            REG_DWORD\n  Data:            0x0",
    ] {
        assert!(!of(other), "{other}");
    }
}

#[test]
fn a_text_of_several_forms_is_read_in_each() {
    let text = "a.b <https p />\n\nkdcproxyname:s:q\n<dict><key>preferredKDCs</key><string>kkdcp://r/x</string></dict>\n\n[realms]\nC.D = {\nkdc = https://s/x\n}\n";
    let nameless = "no realm stands with it, and no --realm says one";
    assert_eq!(
        imported(text, &[]),
        [
            "A.B https://p/KdcProxy".to_owned(),
            "C.D https://s/x".to_owned(),
            format!("line 3: kdcproxyname:s:q: {nameless}"),
            format!("line 4: preferredKDCs = kkdcp://r/x: {nameless}"),
        ]
    );
}

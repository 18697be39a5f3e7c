//! Files of Remote Desktop.

use super::imported;
use crate::operate::import::scan::scan;
use crate::operate::krb5_conf::disk::Disk;

#[test]
fn a_proxy_without_its_realm_is_told() {
    assert_eq!(
        imported(
            "full address:s:rds.example.com\r\nrdgiskdcproxy:i:0\r\nkdcproxyname:s:kps.example.com:8443\r\n",
            &[]
        ),
        [
            "line 3: kdcproxyname:s:kps.example.com:8443: no realm stands with it, and no --realm says one"
        ]
    );
    assert_eq!(
        imported("full address:s:rds.example.com\r\nkdcproxyname:s:\r\n", &[]),
        [""; 0]
    );
}

#[test]
fn a_proxy_is_found_in_any_text_that_has_the_setting() {
    for text in [
        "full address:s:x\r\nKDCProxyName:s:kps.example.com\r\n",
        // Of a host pool of Azure: as its portal shows it, as a script sets it, in JSON.
        "drivestoredirect:s:*;kdcproxyname:s:kps.example.com;audiomode:i:0",
        "Update-AzWvdHostPool -Name x -CustomRdpProperty \"kdcproxyname:s:kps.example.com\" -Confirm",
        "az desktopvirtualization hostpool update --custom-rdp-property kdcproxyname:s:kps.example.com --name x",
        r#"{"customRdpProperty": "{\"a\": \"kdcproxyname:s:kps.example.com\"}"}"#,
    ] {
        let found = scan("/f", text, Some("A.B"), &mut Disk::default());
        let realm =
            "\n[realms.\"A.B\"]\nproxies = [\n    \"https://kps.example.com/KdcProxy\",\n]\n";
        assert_eq!(found.to_string(), realm, "{text}");
        assert!(found.notes().is_empty(), "{text}");
    }
    assert_eq!(
        imported("# kdcproxyname:s:kps.example.com\na.b <https p />\n", &[]),
        [
            "A.B https://p/KdcProxy",
            "line 1: # kdcproxyname:s:kps.example.com: in a comment, and left out",
        ]
    );
}

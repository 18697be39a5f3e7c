//! Files of Remote Desktop.

use super::imported;

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

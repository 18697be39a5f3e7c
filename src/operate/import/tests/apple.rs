//! Apple's profiles.

use super::imported;

/// A payload with these KDCs, whose keys stand as they are sorted.
fn payload(kdcs: &[&str], realm: &str) -> String {
    let kdcs: String = kdcs
        .iter()
        .map(|kdc| format!("<string>{kdc}</string>\n"))
        .collect();
    format!(
        "<dict>\n<key>ExtensionData</key>\n<dict>\n<key>cacheName</key>\n<string>x</string>\n<key>preferredKDCs</key>\n<array>\n{kdcs}</array>\n</dict>\n\
         <key>Hosts</key>\n<array>\n<string>.other.example</string>\n</array>\n<key>PayloadType</key>\n<string>com.apple.extensiblesso</string>\n{realm}</dict>\n"
    )
}

#[test]
fn a_payload_names_its_kdcs_and_its_realm() {
    let realm = |realm: &str| format!("<key>Realm</key>\n<string>{realm}</string>\n");
    let payloads = [
        payload(
            &[
                "kkdcp://p.example.com/KdcProxy",
                "dc1.example.com",
                "kkdcp://q?a=1&amp;b=2",
            ],
            &realm("EXAMPLE.COM"),
        ),
        payload(
            &[
                "https://r:8443/x</string>\n<!-- <string>kkdcp://no</string> -->\n<string>kkdcp://t/x",
            ],
            &realm("EXAMPLE.ORG"),
        ),
        payload(&["kkdcp://s/x"], ""),
    ];
    assert_eq!(
        imported(
            &format!(
                "<?xml version=\"1.0\"?>\n<plist version=\"1.0\">\n<dict>\n<key>PayloadContent</key>\n<array>\n{}</array>\n</dict>\n</plist>\n",
                payloads.concat()
            ),
            &[]
        ),
        [
            "EXAMPLE.COM https://p.example.com/KdcProxy https://q/KdcProxy?a=1&b=2",
            "EXAMPLE.ORG https://r:8443/x https://t/x",
            "line 13: preferredKDCs = kkdcp://p.example.com/KdcProxy: https://p.example.com/KdcProxy here",
            "line 14: preferredKDCs = dc1.example.com: no KDC proxy; KDCs themselves belong to direct and kdcs",
            "line 15: preferredKDCs = kkdcp://q?a=1&b=2: https://q/KdcProxy?a=1&b=2 here",
            "line 36: preferredKDCs = kkdcp://t/x: https://t/x here",
            "line 55: preferredKDCs = kkdcp://s/x: no realm stands with it, and no --realm says one",
        ]
    );
}

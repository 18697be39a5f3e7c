//! Whose address the gateways log, and count by.

use crate::balancer::{ADDRESS, LAPTOP, NAME};
use crate::messages::{Kind, REALM, envelope, framed};
use crate::office::{Office, requests};
use crate::support::https::Site;
use crate::support::netns::isolated;

/// The laptop's, by HAProxy's word; what a client says of itself is gone before.
#[test]
fn a_client_cannot_say_that_it_is_another() {
    isolated(|| {
        let office = Office::open();
        let ca_file = office.dir.path().join("ca.pem");
        let site = Site {
            address: format!("{ADDRESS}:443"),
            name: NAME,
            ca_file: &ca_file,
            identity: None,
        };
        let lies = [
            "",
            "X-Forwarded-For: 203.0.113.6\r\n",
            "X-Forwarded-For: 203.0.113.6\r\nx-forwarded-for: 203.0.113.6\r\n",
            "X-Forwarded-For: 127.0.0.1, 203.0.113.6\r\n",
            "Forwarded: for=203.0.113.6\r\n",
            "Forwarded: for=203.0.113.6\r\nX-Forwarded-For: 203.0.113.6\r\n",
        ];
        for lie in lies {
            let body = envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM));
            let head = format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\n{lie}");
            assert_eq!(site.ask(&head, &body).unwrap().status, 200, "{lie}");
        }
        office.log_in();
        let gateway = &office.gateways[office.serving()];
        // A line is written when its answer has left.
        let all = lies.len() + 2;
        gateway.process.wait_for_count(" client=", all);
        assert_eq!(requests(gateway), all);
        let honest = format!(" client={LAPTOP} ");
        assert_eq!(gateway.process.count(&honest), all);
    });
}

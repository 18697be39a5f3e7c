//! Away from the office, where the name server never answers: the shipped drop-in is enough.

use std::time::Duration;

use crate::office::{Office, Way};
use crate::recorded::isolated;
use crate::support::nameserver::SilentNameServer;
use crate::support::realm::{PASSWORD, SERVICE};

const LIMIT: Duration = Duration::from_millis(500);

#[test]
fn nothing_waits_for_dns() {
    isolated(|| {
        let office = Office::open(Way::Udp);
        let names = SilentNameServer::start();
        let client = &office.client;
        let new = "a newer horse";

        client
            .run("kinit user@EXAMPLE.COM", &["wrong"])
            .within(LIMIT)
            .fails_with("incorrect");
        client
            .run("kinit user@EXAMPLE.COM", &[PASSWORD])
            .within(LIMIT)
            .succeeds();
        client
            .run(&format!("kvno {SERVICE}"), &[])
            .within(LIMIT)
            .succeeds();
        let kpasswd = client.run("kpasswd user@EXAMPLE.COM", &[PASSWORD, new, new]);
        kpasswd.within(LIMIT).succeeds();
        assert_eq!(names.queries(), [] as [&str; 0]);
    });
}

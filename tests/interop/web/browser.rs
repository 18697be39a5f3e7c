//! Chromium logs in, and delegates where its administrator lets the KDC decide (RFC 5896).

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Intranet, has_credentials, software};
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::netns::bind_over;
use crate::support::realm::PASSWORD;
use crate::table::{About, Software, comes_through};

const USER: &str = "user@EXAMPLE.COM";
/// Where administrators tell Chromium what to do.
const CHROMIUM: &str = "/etc/chromium";
/// A profile that has met Negotiate before. The first time ever Chromium gives up without a question to any KDC, leaves this
/// note to itself, and can do it from the next start on.
const PROFILE: &str = r#"{"net": {"received_http_auth_negotiate_headers": true}}"#;

fn with_chromium() -> [Software; 3] {
    software(Software::rolling("Chromium", "chromium"))
}

/// Loads this page in a profile of its own, and prints what came.
fn chromium(office: &Office, args: &[&str], page: &str) -> Outcome {
    let profile = office.dir().join("profile");
    fs::create_dir_all(&profile).unwrap();
    let state = profile.join("Local State");
    if !state.exists() {
        fs::write(state, PROFILE).unwrap();
    }
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(args)
        .arg(page)
        .env("HOME", office.dir())
        .env("TMPDIR", office.dir());
    office.client.finish(command, &[])
}

#[test]
fn chromium_logs_in_by_ticket() {
    isolated(|| {
        let intranet = Intranet::open();
        let office = &intranet.office;
        let log_in = || {
            let allowed = "--auth-server-allowlist=www.example.com";
            chromium(office, &[allowed], "http://www.example.com/")
        };
        // What it shows of a page that it may not have differs from version to version.
        assert!(!log_in().text.contains("user: "));
        office.proxy.was_asked(0);

        let kinit = office.client.run(&format!("kinit {USER}"), &[PASSWORD]);
        kinit.succeeds();
        office.proxy.was_asked(3);
        let page = log_in().succeeds().says(&format!("user: {USER}<"));
        assert!(page.trace.contains(office.way.traced()), "{}", page.trace);
        office.proxy.was_asked(4);
        let what = "Chromium: `--auth-server-allowlist` logs in to a web server with a ticket, and not without";
        comes_through(About::Web, what, &with_chromium());
    });
}

#[test]
fn chromium_delegates_by_policy() {
    isolated(|| {
        let intranet = Intranet::open();
        let office = &intranet.office;
        let own = office.dir().join("chromium");
        fs::create_dir_all(own.join("policies/managed")).unwrap();
        let rules = r#"{"AuthServerAllowlist": "*.example.com",
            "AuthNegotiateDelegateAllowlist": "*.example.com",
            "AuthNegotiateDelegateByKdcPolicy": true}"#;
        fs::write(own.join("policies/managed/negotiate.json"), rules).unwrap();
        bind_over(&own, Path::new(CHROMIUM));

        let kinit = office.client.run(&format!("kinit -f {USER}"), &[PASSWORD]);
        kinit.succeeds();
        for (page, is_handed) in [
            ("http://trusted.example.com/", true),
            ("http://www.example.com/", false),
        ] {
            let seen = chromium(office, &[], page);
            assert_eq!(has_credentials(seen, USER), is_handed, "{page}");
        }
        let what = "Chromium: its rule AuthNegotiateDelegateByKdcPolicy hands credentials to a service with \
                    ok_as_delegate and to no other";
        comes_through(About::Delegation, what, &with_chromium());
    });
}

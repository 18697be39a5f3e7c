//! SSSD, which lets users in by what it remembers of them while no KDC can be reached.

use std::time::Duration;

use super::machine;
use crate::login::sssd::{self, SERVICE, by_the_cache};
use crate::office::{Office, PORT};
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route, gateway};
use crate::support::realm::PASSWORD;
use crate::table::{About, comes_through};

/// As packaging/doc/recipes.md has it for whoever uses SSSD, but that tickets end with the test.
const CONFIGURATION: &str = "\
    [sssd]\nservices = pam\ndomains = example\n\
    [pam]\npam_verbosity = 2\n\
    [domain/example]\nid_provider = files\nauth_provider = krb5\ncache_credentials = true\n\
    krb5_realm = EXAMPLE.COM\nkrb5_server = 127.0.0.1\nkrb5_use_kdcinfo = false\nkrb5_auth_timeout = 15\n\
    krb5_ccname_template = FILE:%h/ccache\n";

/// An office whose laptop asks SSSD at login.
fn office() -> (Office, Process) {
    let office = machine::office();
    let module = sssd::pam_sss();
    let module = module.display();
    let lines = ["auth", "account"].map(|kind| format!("{kind} required {module}\n"));
    machine::pam_service(SERVICE, &lines.concat());
    let sssd = sssd::start(office.dir(), CONFIGURATION, &[]);
    (office, sssd)
}

fn login(office: &Office, password: &str) -> Outcome {
    let login = sssd::login(&office.client, &["authenticate", "acct_mgmt"], password);
    login.within(Duration::from_secs(5))
}

#[test]
fn online_offline_and_back() {
    isolated(|| {
        let (mut office, sssd) = office();
        login(&office, "battery staple").fails_with("Authentication failure");
        assert!(!by_the_cache(&login(&office, PASSWORD).succeeds()));

        office.proxy.process.terminate();
        assert!(by_the_cache(&login(&office, PASSWORD).succeeds()));
        login(&office, "battery staple").fails_with("Authentication failure");

        let routes = [Route::to(&office.realm)];
        let dir = office.dir().join(format!("proxy-{PORT}"));
        office.proxy = KdcProxy::gateway(&dir, PORT, &gateway(PORT, &routes));
        // As on a change of the network; left alone it looks again after a minute.
        sssd.signal("USR2");
        sssd.wait_for("resetOffline: Success");
        assert!(!by_the_cache(&login(&office, PASSWORD).succeeds()));
        office.proxy.process.wait_for("kind=AS-REQ");
        let what = "SSSD: login, offline by the cached password, and online again";
        comes_through(About::Clients, what, &[sssd::software()]);
    });
}

//! The rooms that are pure stay so: no I/O, no runtime, and no clock but the one they are handed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// What a pure room must not name. Time and peers come as arguments, so their types may be named.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "reqwest",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
];

fn pure_rooms() -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let wire = fs::read_dir(src.join("wire"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let alone = [
        "advice.rs",
        "advice/answered.rs",
        "advice/unsent.rs",
        "answer.rs",
        "import/found.rs",
        "import/krb5_conf.rs",
        "import/windows.rs",
        "krb5_conf/beside.rs",
        "krb5_conf/block.rs",
        "krb5_conf/drop_in.rs",
        "krb5_conf/host.rs",
        "krb5_conf/profile.rs",
        "krb5_conf/servers.rs",
        "doctor/krb5_conf.rs",
        "doctor/krb5_conf/all_realms.rs",
        "doctor/krb5_conf/realm.rs",
        "doctor/krb5_conf/server.rs",
        "lookaside.rs",
        "lookaside/recent.rs",
        "record.rs",
        "route.rs",
        "route/backoff.rs",
        "route/health.rs",
        "route/latency.rs",
        "route/pace.rs",
        "route/resend.rs",
        "route/view.rs",
        "network/seen.rs",
        "status/problems.rs",
        "status/render.rs",
        "status/render/exchanges.rs",
        "status/render/head.rs",
        "status/render/latency.rs",
        "status/render/paper.rs",
        "status/render/realms.rs",
        "status/render/words.rs",
        "status/report.rs",
        "status/report/problem.rs",
        "status/text.rs",
        "text.rs",
        "text/json.rs",
        "text/shell.rs",
        "text/toml.rs",
        "text/urls.rs",
        "logging/lines.rs",
        "daemon/tunnel/due.rs",
        "upstream/dns/order.rs",
        "upstream/dns/targets.rs",
        "upstream/dns/uri.rs",
    ];
    let alone = alone.map(|name| src.join(name));
    wire.chain(alone).collect()
}

#[test]
fn pure_rooms_name_no_io_and_no_clock() {
    let rooms = pure_rooms();
    assert!(rooms.iter().any(|path| path.ends_with("wire/message.rs")));
    for path in rooms {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let found = FORBIDDEN.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

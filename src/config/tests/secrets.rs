//! What an error doesn't repeat of a file: it may be in a log, or be shown to a help desk.

use super::*;

#[test]
fn no_error_repeats_a_token() {
    for text in [
        "[defaults]\nheaders = { Authorization = \"Bearer t0ken\" }",
        "[defaults]\nheaders = \"Authorization: Bearer t0ken\"",
        "[defaults]\nheaders = [\"Authorization: Bearer t0ken\"",
        "[defaults]\nheaders = [\"Authorization: Bearer t0ken]",
        "[defaults]\nheaders = [\n  \"X-One: 1\",\n  \"Authorization: Bearer t0ken]",
        "[defaults]\nheaders = [\n  \"Authorization: Bearer t0ken\", 5]",
        "[defaults]\nheaders = [\n  \"Authorization Bearer t0ken\"]",
        "[defaults]\nheaders = [\nAuthorization: Bearer t0ken\n]",
        "[defaults]\nheaders = [\nAuthorization: \"Bearer t0ken\"\n]",
        "[defaults]\nheaders: [\"Authorization: Bearer t0ken\"]",
        "[defaults]\nheaders [\"Authorization: Bearer t0ken\"]",
        "[defaults]\nheaders = \"\"\"\nAuthorization: Bearer t0ken",
        "[defaults]\nheaders = { X-Api =\n\"t0ken\" }",
        "[defaults.headers]\nAuthorization = \"Bearer t0ken\"",
        "[defaults]\nkdcs = []\n\"X-Api\" = \"t0ken\"",
        "[defaults]\nAuthorization: Bearer t0ken",
        "[defaults]\nt0ken",
        "[defaults] headers = [\"t0ken\"]",
        "[defaults]\nca-file = [] headers = [\"t0ken\"]",
        "[defaults]\nproxies = [] headers = [\"t0ken\"]",
        "[realms.\"A\"]\nkdcs = [{ address = \"k\", password = \"t0ken\" }]",
        "[defaults]\nt0ken=",
        "[defaults]\nheader = [\"Authorization: Bearer t0ken\"]",
        "[defaults]\nproxys = [\"https://one/jet/KdcProxy/t0ken\"]",
        "[defaults]\nheaders-fil = \"t0ken\"",
        "[defaults]\nproxys = [] headers = [\"t0ken\"]",
        "[defaults]\nbearer-token = \"t0ken\"",
        "[defaults]\nclient-key-passphrase = \"t0ken\"",
        "[defaults]\n\"client-key-password\" = 't0ken'",
        "[defaults]\napi-key = \"t0ken\"",
        "[defaults]\nauth = \"Bearer t0ken\"",
        "[defaults]\nbearer-token-file = \"t0ken\"",
        "[defaults]\nbearer-token-file = \"t0ken",
        "[defaults]\nheaders-file = \"X-Api: t0ken\"",
        "defaults = { headers = [\"Authorization: Bearer t0ken\"], x = 1 }",
        "defaults = { kdcs = [], x = \"t0ken\" }",
        "[realms.\"A\"]\nproxies = [\"https://p\"]\nkdcs = [\"https://h/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\"https://[::1]/t0ken\"]\nhttp-proxy = \"http://proxy\"",
        "[realms.\"A\"]\nproxies = \"ftp://one/jet/KdcProxy/t0ken\"",
        "[realms.\"A\"]\nproxies = \"one/jet/KdcProxy/t0ken\"",
        "[realms.\"A\"]\nproxies = [\"https://one/jet/KdcProxy/t0ken\", \"ftp://two\"]",
        "[realms.\"A\"]\nproxies = [\"https://one/t0ken\", \"https://one/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\n\"https://one/t0ken\",\n\"one/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\"one/jet/KdcProxy/t0ken\"",
        "[realms.\"A\"]\nproxies = [\"one:443/jet/KdcProxy/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\"one:443:t0ken\"]",
        "[realms.\"A\"]\nproxies = ['https://one\\t0ken', \"ftp://two\"]",
        "[realms.\"A\"]\nproxies = [\"https://one/jet/KdcProxy?t0ken#\"]",
        "[realms.\"A\"]\nproxies = [\"https://user:t0ken@one/\"]",
        "[realms.\"A\"]\nproxies = [\"ftp://one/t0ken\"]",
        "[realms.\"A\"]\nproxy = \"one/jet/KdcProxy/t0ken\"",
        "[defaults]\nhttp-proxy = [\"http://user:t0ken@one/\"]",
        "[defaults]\nhttp-proxy = \"http://user:t0ken@one/x\"",
        "[defaults]\nhttp-proxy = \"user:t0ken@one:3128\"",
        "[defaults]\nhttp-proxy = user:t0ken@one:3128",
    ] {
        let error = error(text);
        assert!(!error.contains("t0ken"), "{text}: {error}");
        assert!(error.contains("f.toml:"), "{error}");
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for (text, shown) in [
        (
            "[defaults]\ndeadline-seconds = \"9\"",
            "deadline-seconds = \"9\"",
        ),
        (
            "[defaults]\nheaders = [\"X-Site: a\"]\non-failure = 1",
            "on-failure = 1",
        ),
        ("[defaults]\nheader = \"a b\" # c", "header = \"* *\" # *"),
        (
            "[realms.\"A\"]\nproxies = [\"https://p\"]\ndirect = \"prefer\"\nkdcs = [\"a\", { address = \"b c\", primary = true }]",
            "kdcs = [\"a\", { address = \"b c\", primary = true }]",
        ),
        (
            "[realms.\"A\"]\nproxies = [\"https://one/KdcProxy\", \"ftp://two\", \"discover\"]",
            "\"https://one/KdcProxy\", \"ftp://two\", \"discover\"",
        ),
        ("[relms.\"A\"]\nproxies = []", "[relms.\"A\"]"),
        // By the rule of the key that is meant.
        (
            "[defaults]\nproxys = [\"https://one/KdcProxy\"]",
            "proxys = [\"https://one/KdcProxy\"]",
        ),
        ("[defaults]\nCA_File = \"ca.pem\"", "CA_File = \"ca.pem\""),
    ] {
        let error = error(text);
        assert!(error.contains(shown), "{error}");
    }
}

/// Each key that there is shows its value, but for those of which it is decided that they don't.
#[test]
fn each_key_is_shown_or_not() {
    let examples = [
        include_str!("../../../packaging/config.example.toml"),
        include_str!("../../../packaging/gateway.example.toml"),
    ];
    let mut masked = std::collections::BTreeSet::new();
    for line in examples.iter().flat_map(|text| text.lines()) {
        let line = line.trim_start_matches('#');
        let is_setting = |c: char| c.is_ascii_lowercase() || c == '-';
        let Some((key, _)) = line
            .split_once(" = ")
            .filter(|(key, _)| key.chars().all(is_setting))
        else {
            continue;
        };
        let line = format!("{key} = 5");
        if crate::config::error::shown_line(&line) != line {
            masked.insert(key);
        }
    }
    let decided = [
        "auth",
        "bearer-token-file",
        "client-key-passphrase-file",
        "headers",
        "headers-file",
    ];
    assert_eq!(masked.into_iter().collect::<Vec<_>>(), decided);
}

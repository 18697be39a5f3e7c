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
        "[defaults]\nheader = [\"Authorization: Bearer t0ken\"]",
        "[defaults]\nbearer-token = \"t0ken\"",
        "[defaults]\n\"client-key-password\" = 't0ken'",
        "defaults = { headers = [\"Authorization: Bearer t0ken\"], x = 1 }",
        "[realms.\"A\"]\nproxies = \"https://one/jet/KdcProxy/t0ken\"",
        "[realms.\"A\"]\nproxies = [\"https://one/jet/KdcProxy/t0ken\", \"ftp://two\"]",
        "[realms.\"A\"]\nproxies = [\"https://one/t0ken\", \"https://one/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\"one/jet/KdcProxy/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\"one:443/jet/KdcProxy/t0ken\"]",
        "[realms.\"A\"]\nproxies = [\"https://one/jet/KdcProxy?t0ken#\"]",
        "[realms.\"A\"]\nproxies = [\"https://user:t0ken@one/\"]",
        "[realms.\"A\"]\nproxies = [\"ftp://one/t0ken\"]",
        "[defaults]\nhttp-proxy = [\"http://user:t0ken@one/\"]",
        "[defaults]\nhttp-proxy = \"http://user:t0ken@one/x\"",
    ] {
        let error = error(text);
        assert!(!error.contains("t0ken"), "{text}: {error}");
        assert!(error.contains("f.toml:"), "{error}");
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    for (text, shown) in [
        ("[defaults]\nbearer-token-file = 5", "bearer-token-file = 5"),
        ("[defaults]\nauth = \"kerberos\"", "auth = \"kerberos\""),
        (
            "[defaults]\nheaders = [\"X-Site: a\"]\non-failure = 1",
            "on-failure = 1",
        ),
        (
            "[realms.\"A\"]\nproxies = [\"https://one/KdcProxy\", \"ftp://two\"]",
            "\"https://one/KdcProxy\", \"ftp://two\"",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(shown), "{error}");
    }
}

//! How requests get out: what is refused, in which words, and what comes of the rest.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{REALM, build, certified, error, refused, show, warnings};
use crate::config::keys::{Mark, RUN, ValueKind};
use crate::config::{Config, RealmEntry, Sources};
use crate::relay::upstream::proxy_options::{ForwardProxy, MinTls};

const ANY: &str = "[realms.\"*\"]\nproxies = [\"https://p\"]\n";

refused! {
    a_way_out_that_is_no_url: "[defaults]\nhttp-proxy = \"proxy.example.com\"\n" => r#"
loopkdc: error: f.toml:2:14: http-proxy is an http:// or socks5h:// URL
  |
2 | http-proxy = "proxy.example.com"
  |              ^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "http://proxy.example.com:3128" or "socks5h://127.0.0.1:1080", or "environment"
"#;
    a_way_out_by_tls: "[defaults]\nhttp-proxy = \"https://proxy.example.com\"\n" => r#"
loopkdc: error: f.toml:2:14: http-proxy is an http:// or socks5h:// URL
  |
2 | http-proxy = "https://proxy.example.com"
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "http://proxy.example.com:3128" or "socks5h://127.0.0.1:1080", or "environment"
"#;
    a_way_out_that_looks_names_up_here: "[defaults]\nhttp-proxy = \"socks5://127.0.0.1\"\n" => r#"
loopkdc: error: f.toml:2:14: http-proxy is an http:// or socks5h:// URL
  |
2 | http-proxy = "socks5://127.0.0.1"
  |              ^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "http://proxy.example.com:3128" or "socks5h://127.0.0.1:1080", or "environment"
"#;
    a_password_that_ends_the_url: "[defaults]\nhttp-proxy = \"http://user:sec/ret@proxy:3128\"\n" => r#"
loopkdc: error: f.toml:2:14: http-proxy is an http:// or socks5h:// URL
  |
2 | http-proxy = "http://************@proxy:3128"
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "http://proxy.example.com:3128" or "socks5h://127.0.0.1:1080", or "environment"
"#;
    a_password_before_a_path: "[defaults]\nhttp-proxy = \"http://user:secret@proxy:3128/x\"\n" => r#"
loopkdc: error: f.toml:2:14: http-proxy has nothing after its port
  |
2 | http-proxy = "http://***********@proxy:3128/*"
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: in a user's name or password write / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A
"#;
    a_number_of_an_ipv6_proxy_by_a_way_out: "[realms.\"A\"]\nproxies = [\"https://p\", \"https://[::1]/\"]\nhttp-proxy = \"http://proxy\"\n" => r#"
loopkdc: error: f.toml:3:14: a KDC proxy that goes by an IPv6 address can't be reached through another proxy
  |
3 | http-proxy = "http://proxy"
  |              ^^^^^^^^^^^^^^
loopkdc: hint: write a name in its place: https://[::1]/KdcProxy
"#;
    a_header_that_is_none: "[defaults]\nheaders = [\"X-Site: a\", \"Bearer abc\"]\n" => r#"
loopkdc: error: f.toml:2:25: a header is "Name: value"
  |
2 | headers = ["******: *", "****** ***"]
  |                         ^^^^^^^^^^^^
"#;
    a_header_of_two_lines: "[defaults]\nheaders = [\"X-Site: a\\nX-Other: b\"]\n" => r#"
loopkdc: error: f.toml:2:12: no header can have this value
  |
2 | headers = ["******: **********: *"]
  |            ^^^^^^^^^^^^^^^^^^^^^^^
"#;
    a_header_that_http_says_itself: "[defaults]\nheaders = [\"Content-Length: 1\"]\n" => r#"
loopkdc: error: f.toml:2:12: this header is for HTTP itself to say
  |
2 | headers = ["**************: *"]
  |            ^^^^^^^^^^^^^^^^^^^
"#;
    a_pin_without_its_kind: "[defaults]\npins = [\"AAAA\"]\n" => r#"
loopkdc: error: f.toml:2:9: a pin is "sha256/" and the base64 of a key's SHA-256
  |
2 | pins = ["AAAA"]
  |         ^^^^^^
loopkdc: hint: for a certificate in FILE: openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
"#;
    a_version_of_tls_that_is_too_old: "[defaults]\nmin-tls = \"1.1\"\n" => r#"
loopkdc: error: f.toml:2:11: min-tls is "1.2" or "1.3"
  |
2 | min-tls = "1.1"
  |           ^^^^^
"#;
    a_token_that_is_not_there: "[defaults]\nbearer-token-file = \"token\"\n" => r#"
loopkdc: error: f.toml:2:21: bearer-token-file names a file that can't be read: No such file or directory (os error 2)
  |
2 | bearer-token-file = "*****"
  |                     ^^^^^^^
loopkdc: hint: write the text to a file, and the file's name to bearer-token-file
"#;
    a_key_without_its_certificate: "[defaults]\nclient-key = \"key.pem\"\n" => r#"
loopkdc: error: f.toml:2:14: a key without its certificate is of no use
  |
2 | client-key = "key.pem"
  |              ^^^^^^^^^
loopkdc: hint: name the certificate: client-certificate = "FILE"
"#;
    a_credential_where_there_are_none: "[defaults]\nheaders-file = \"credential:headers\"\n" => r#"
loopkdc: error: f.toml:2:16: credential:headers is of use only where a service manager sets $CREDENTIALS_DIRECTORY
  |
2 | headers-file = "**********:*******"
  |                ^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: in a shell: systemd-run --pipe -p LoadCredential=headers:FILE loopkdc check
"#;
    a_credential_elsewhere: "[defaults]\nheaders-file = \"credential:../etc/shadow\"\n" => r#"
loopkdc: error: f.toml:2:16: a credential's name has no slash and no dot before it
  |
2 | headers-file = "**********:*************"
  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "credential:NAME", and LoadCredential=NAME:FILE in the unit
"#;
}

refused! {
    tickets_of_another_kind: "[defaults]\nauth = \"kerberos\"\n" => r#"
loopkdc: error: f.toml:2:8: auth is "negotiate" or "none"
  |
2 | auth = "********"
  |        ^^^^^^^^^^
"#;
    tickets_of_nobody: "[defaults]\nauth = \"negotiate\"\n" => r#"
loopkdc: error: f.toml:2:8: auth = "negotiate" needs tickets to show
  |
2 | auth = "*********"
  |        ^^^^^^^^^^^
loopkdc: hint: name a file of keys, keytab = "FILE", or a credential cache, ccache = "NAME"
"#;
    tickets_that_are_not_shown: "[defaults]\nkeytab = \"laptop.keytab\"\n" => r#"
loopkdc: error: f.toml:2:10: tickets are shown only with auth = "negotiate"
  |
2 | keytab = "laptop.keytab"
  |          ^^^^^^^^^^^^^^^
"#;
}

#[cfg(not(feature = "negotiate"))]
refused! {
    tickets_without_the_library: "[defaults]\nauth = \"negotiate\"\nccache = \"KCM:\"\n" => r#"
loopkdc: error: f.toml:2:8: this loopkdc was built without the GSSAPI library
  |
2 | auth = "*********"
  |        ^^^^^^^^^^^
loopkdc: hint: build it with it: cargo build --release --features negotiate
"#;
}

#[cfg(feature = "negotiate")]
refused! {
    a_keytab_that_is_not_there: "[defaults]\nauth = \"negotiate\"\nkeytab = \"laptop.keytab\"\n" => r#"
loopkdc: error: f.toml:3:10: keytab /nowhere/laptop.keytab does not exist
  |
3 | keytab = "laptop.keytab"
  |          ^^^^^^^^^^^^^^^
"#;
    a_cache_in_the_memory_of_nobody: "[defaults]\nauth = \"negotiate\"\nccache = \"MEMORY:x\"\n" => r#"
loopkdc: error: f.toml:3:10: a MEMORY: cache is that of another process
  |
3 | ccache = "MEMORY:x"
  |          ^^^^^^^^^^
loopkdc: hint: with a keytab leave ccache out: tickets are kept in memory then
"#;
    a_principal_without_a_realm: "[defaults]\nauth = \"negotiate\"\nccache = \"KCM:\"\nnegotiate-principal = \"laptop$\"\n" => r#"
loopkdc: error: f.toml:4:23: a principal has a name and a realm
  |
4 | negotiate-principal = "laptop$"
  |                       ^^^^^^^^^
loopkdc: hint: write it like "host/laptop.example.com@EXAMPLE.COM"
"#;
    two_authorizations: "[defaults]\nauth = \"negotiate\"\nccache = \"KCM:\"\nheaders = [\"Authorization: Basic eDp5\"]\n" => r#"
loopkdc: error: f.toml:2:8: a request has one Authorization, and there are two
  |
2 | auth = "*********"
  |        ^^^^^^^^^^^
loopkdc: hint: of auth, bearer-token-file and a header Authorization choose one
"#;
    tickets_in_plain_text: "[realms.\"A\"]\nproxies = [\"http://p\"]\nallow-plaintext = true\nauth = \"negotiate\"\nccache = \"KCM:\"\n" => r#"
loopkdc: error: f.toml:4:8: an http:// proxy would be sent in plain text what auth is to show it
  |
4 | auth = "*********"
  |        ^^^^^^^^^^^
loopkdc: hint: write https:// in proxies
"#;
    tickets_for_any_realm: "[realms.\"*\"]\nproxies = [\"https://p\"]\nauth = \"negotiate\"\nccache = \"KCM:\"\n" => r#"
loopkdc: error: f.toml:3:8: with realm * any local user could have a realm of their choice asked with this machine's auth
  |
3 | auth = "*********"
  |        ^^^^^^^^^^^
loopkdc: hint: name the realms, or say any-realm = true if that is meant
"#;
}

#[cfg(feature = "negotiate")]
#[test]
fn a_realm_shows_the_tickets_that_it_names() {
    let dir = Dir::new();
    let entry = [
        &b"\x05\x02\x00\x00\x00\x2a\x00\x02\x00\x0bEXAMPLE.COM\x00\x04host\x00\x06laptop"[..],
        &[0; 13],
    ];
    fs::write(dir.path().join("laptop.keytab"), entry.concat()).unwrap();
    let negotiate = |lines: &str| {
        let entry = dir.realm(&format!("auth = \"negotiate\"\n{lines}"));
        entry.map(|entry| entry.proxy_options.negotiate.clone().unwrap())
    };
    let by_keys = negotiate("keytab = \"laptop.keytab\"\n").unwrap();
    assert_eq!(
        by_keys.principal.unwrap().to_string(),
        "host/laptop@EXAMPLE.COM"
    );
    assert_eq!(by_keys.keytab.unwrap(), dir.path().join("laptop.keytab"));
    let other = "keytab = \"laptop.keytab\"\nnegotiate-principal = \"other@EXAMPLE.COM\"\n";
    let shown = negotiate(other).unwrap_err();
    assert!(
        shown.contains("keytab laptop.keytab holds no key of other@EXAMPLE.COM"),
        "{shown}"
    );
    for (written, cache) in [
        ("KCM:", "KCM:".to_owned()),
        (
            "tickets",
            format!("FILE:{}", dir.path().join("tickets").display()),
        ),
    ] {
        let by_cache = negotiate(&format!("ccache = \"{written}\"\n")).unwrap();
        assert_eq!((by_cache.ccache, by_cache.principal), (Some(cache), None));
    }
    let defaults =
        format!("[defaults]\nauth = \"negotiate\"\nccache = \"KCM:\"\n{REALM}auth = \"none\"\n");
    assert_eq!(
        dir.build(&defaults).unwrap().realms[0]
            .proxy_options
            .negotiate,
        None
    );
}

/// Files to be named by a configuration beside them.
struct Dir(TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    fn build(&self, text: &str) -> Result<Config, String> {
        let built = Config::build(text, &self.path().join("f.toml"), &Sources::default(), &[]);
        built.map_err(|broken| {
            let dir = format!("{}/", self.path().display());
            show(text, broken).replace(&dir, "")
        })
    }

    /// The realm `A` with these lines in its table.
    fn realm(&self, lines: &str) -> Result<RealmEntry, String> {
        let config = self.build(&format!("{REALM}{lines}"))?;
        Ok(config.realms.into_iter().next().unwrap())
    }

    fn openssl(&self, args: &str) {
        let mut command = Command::new("openssl");
        command.args(args.split(' ')).current_dir(self.path());
        let output = command.output().expect("openssl starts");
        assert!(output.status.success(), "{output:?}");
    }
}

const BOTH: &str = "client-certificate = \"own.pem\"\nclient-key = \"own-key.pem\"\n";

/// A directory with a certificate and its key.
fn certificate_and_key() -> Dir {
    let (dir, (certificate, key)) = (Dir::new(), certified());
    dir.write("own.pem", &certificate);
    dir.write("own-key.pem", &key);
    dir
}

#[test]
fn a_key_is_that_of_its_certificate() {
    let dir = certificate_and_key();
    assert!(
        dir.realm(BOTH)
            .unwrap()
            .proxy_options
            .client_certificate
            .is_some()
    );
    let (_, other) = certified();
    dir.write("own-key.pem", &other);
    let shown = dir.realm(BOTH).unwrap_err();
    assert!(
        shown.starts_with(
            "loopkdc: error: f.toml:4:14: client-key own-key.pem is not the one of the first certificate in own.pem\n"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("hint: these must be the same: openssl pkey"),
        "{shown}"
    );
}

#[test]
fn commands_have_names_in_quotes_that_need_them() {
    let dir = certificate_and_key();
    dir.write("it's mine.pem", "-----BEGIN TRUSTED CERTIFICATE-----\n");
    for (key, also) in [
        ("ca-file", ""),
        ("client-certificate", "client-key = \"own-key.pem\"\n"),
    ] {
        let lines = format!("{key} = \"it's mine.pem\"\n{also}");
        let shown = dir.realm(&lines).unwrap_err();
        let words = format!("{key} it's mine.pem holds certificates in OpenSSL's own form\n");
        assert!(shown.contains(&words), "{shown}");
        let words = "openssl storeutl -certs -out 'it'\\''s mine.pem'.pem 'it'\\''s mine.pem'\n";
        assert!(format!("{shown}\n").contains(words), "{shown}");
    }
}

#[test]
fn both_may_be_in_one_file() {
    let (dir, (certificate, key)) = (Dir::new(), certified());
    dir.write("both.pem", &(key + &certificate));
    let entry = dir.realm("client-certificate = \"both.pem\"\n").unwrap();
    assert!(entry.proxy_options.client_certificate.is_some());
    assert_eq!(
        entry.proxy_options.secret_files,
        [dir.path().join("both.pem")]
    );
}

#[test]
fn every_form_of_a_key_that_openssl_writes_is_taken() {
    let dir = Dir::new();
    for (algorithm, older) in [
        ("rsa:2048", "rsa -traditional"),
        ("ec -pkeyopt ec_paramgen_curve:P-256", "ec"),
    ] {
        dir.openssl(&format!(
            "req -x509 -newkey {algorithm} -noenc -subj /CN=laptop -keyout plain.pem -out own.pem"
        ));
        dir.openssl(&format!("{older} -in plain.pem -out older.pem"));
        for key in ["plain.pem", "older.pem"] {
            fs::copy(dir.path().join(key), dir.path().join("own-key.pem")).unwrap();
            dir.realm(BOTH)
                .unwrap_or_else(|shown| panic!("{key}: {shown}"));
        }
    }
}

const WITH_PASSPHRASE: &str = "client-certificate = \"own.pem\"\nclient-key = \"locked.pem\"\n\
     client-key-passphrase-file = \"passphrase\"\n";

#[test]
fn an_encrypted_key_is_opened_by_its_passphrase_alone() {
    let dir = certificate_and_key();
    dir.openssl("pkcs8 -topk8 -in own-key.pem -out locked.pem -passout pass:secret");
    dir.write("passphrase", "secret\n");
    let entry = dir.realm(WITH_PASSPHRASE).unwrap();
    assert_eq!(entry.proxy_options.secret_files.len(), 2);
    assert!(!format!("{entry:?}").contains("secret\\n"));

    dir.write("passphrase", "secre\n");
    assert_eq!(
        dir.realm(WITH_PASSPHRASE).unwrap_err().lines().next(),
        Some(
            "loopkdc: error: f.toml:4:14: what client-key-passphrase-file holds does not open client-key locked.pem"
        )
    );
    let without = "client-certificate = \"own.pem\"\nclient-key = \"locked.pem\"\n";
    let shown = dir.realm(without).unwrap_err();
    assert!(
        shown.contains("client-key locked.pem is encrypted, and there is no passphrase\n"),
        "{shown}"
    );
    assert!(
        shown.contains("client-key-passphrase-file = \"FILE\""),
        "{shown}"
    );
}

#[test]
fn a_key_that_is_encrypted_by_an_older_scheme_is_converted_by_what_the_hint_says() {
    for older in [
        "pkcs8 -topk8 -v1 PBE-SHA1-3DES -in own-key.pem -out locked.pem -passout pass:secret",
        "pkcs8 -topk8 -v2 des3 -in own-key.pem -out locked.pem -passout pass:secret",
        "ec -aes128 -in own-key.pem -out locked.pem -passout pass:secret",
    ] {
        let dir = certificate_and_key();
        dir.openssl(older);
        dir.write("passphrase", "secret\n");
        let shown = dir.realm(WITH_PASSPHRASE).unwrap_err();
        let (said, command) = shown.split_once("hint: convert it: (umask 077; ").unwrap();
        assert!(
            said.contains("client-key locked.pem is encrypted by an older scheme than PBES2"),
            "{older}: {said}"
        );
        let command = command.trim_end().trim_end_matches(')');
        let args = command.strip_prefix("openssl ").unwrap();
        dir.openssl(&format!("{args} -passin pass:secret -passout pass:secret"));
        let new = WITH_PASSPHRASE.replace("locked.pem", "locked.pem.p8");
        dir.realm(&new)
            .unwrap_or_else(|shown| panic!("{older}: {shown}"));
    }
}

#[test]
fn files_of_headers_and_tokens_are_read_line_by_line() {
    let dir = Dir::new();
    dir.write(
        "headers",
        "# of this laptop\n\nX-Device: 7\nx-secret:  s3cret \n",
    );
    dir.write("token", "eyJhbGciOi.J9-_~+/==\n");
    let entry = dir.realm(
        "headers = [\"X-Site: a\"]\nheaders-file = \"headers\"\nbearer-token-file = \"token\"\n",
    );
    let shown = &entry.unwrap().proxy_options.headers;
    assert_eq!(shown.fixed[0].0, "x-site");
    assert!(shown.headers_file.is_some() && shown.bearer_token_file.is_some());

    dir.write("headers", "X-Device: 7\nnonsense s3cret\n");
    let shown = dir.realm("headers-file = \"headers\"\n").unwrap_err();
    assert!(
        shown.contains("headers-file headers, line 2: a header is \"Name: value\""),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
    dir.write("token", "two words\n");
    let shown = dir.realm("bearer-token-file = \"token\"\n").unwrap_err();
    assert!(
        shown.contains("bearer-token-file token: a token is one word"),
        "{shown}"
    );
    assert!(!shown.contains("two"), "{shown}");
}

#[test]
fn there_is_one_authorization() {
    let dir = Dir::new();
    dir.write("token", "abc\n");
    let shown = dir
        .realm("headers = [\"Authorization: Basic eDp5\"]\nbearer-token-file = \"token\"\n")
        .unwrap_err();
    assert!(
        shown.contains("a request has one Authorization, and there are two"),
        "{shown}"
    );
}

#[test]
fn what_is_secret_is_not_sent_in_plain_text() {
    let dir = Dir::new();
    dir.write("token", "abc\n");
    for proxies in [
        "proxies = [\"http://p\"]",
        "proxies = [\"https://p\"]\nkpasswd-proxies = [\"http://p\"]",
    ] {
        let text = format!(
            "[realms.\"A\"]\n{proxies}\nallow-plaintext = true\nbearer-token-file = \"token\"\n"
        );
        let shown = dir.build(&text).unwrap_err();
        let rule =
            "an http:// proxy would be sent in plain text what bearer-token-file is to show it\n";
        assert!(shown.contains(rule), "{shown}");
    }
}

#[test]
fn a_file_may_be_called_none() {
    let dir = certificate_and_key();
    fs::copy(dir.0.path().join("own.pem"), dir.0.path().join("none")).unwrap();
    let certificate = "client-certificate = \"none\"\nclient-key = \"own-key.pem\"\n";
    let shown = dir.build(&format!("{ANY}{certificate}")).unwrap_err();
    assert!(shown.contains("with realm * any local user"), "{shown}");
}

#[test]
fn what_is_secret_goes_to_nobody_whom_dns_names() {
    let dir = certificate_and_key();
    dir.write("token", "abc\n");
    let found = "[realms.\"A\"]\nproxies = \"discover\"\n";
    let shown = dir.build(&format!("{found}bearer-token-file = \"token\"\n"));
    assert_eq!(
        shown.unwrap_err(),
        "loopkdc: error: f.toml:3:21: what bearer-token-file is to show would go to whichever host DNS names
  |
3 | bearer-token-file = \"*****\"
  |                     ^^^^^^^
loopkdc: hint: list the proxies that may see it: proxies = [\"https://kdcproxy.example.com/KdcProxy\"]"
    );
    // A certificate gives nothing of its key away.
    dir.build(&format!("{found}{BOTH}")).unwrap();
}

#[test]
fn realm_any_spends_nothing_of_this_machine_unless_that_is_meant() {
    let dir = certificate_and_key();
    dir.write("headers", "X-Device: 7\n");
    dir.write("token", "abc\n");
    for (key, lines) in [
        ("client-certificate", BOTH),
        ("headers-file", "headers-file = \"headers\"\n"),
        ("bearer-token-file", "bearer-token-file = \"token\"\n"),
    ] {
        let shown = dir.build(&format!("{ANY}{lines}")).unwrap_err();
        let words = format!(
            "loopkdc: error: f.toml:3:{}: with realm * any local user could have a realm of their choice asked with this machine's {key}\n",
            key.len() + 4
        );
        assert!(shown.starts_with(&words), "{shown}");
        assert!(
            shown.ends_with("or say any-realm = true if that is meant"),
            "{shown}"
        );
        // From [defaults] they are the same.
        assert!(
            dir.build(&format!("[defaults]\n{lines}{ANY}")).is_err(),
            "{key}"
        );
        dir.build(&format!("{ANY}{lines}any-realm = true\n"))
            .unwrap();
        let suffix = ANY.replace('*', "*.EXAMPLE.COM");
        dir.build(&format!("{suffix}{lines}")).unwrap();
    }
    dir.build(&format!("{ANY}headers = [\"X-Site: a\"]\n"))
        .unwrap();
}

#[test]
fn a_realm_goes_its_own_way_out() {
    let config = build(&format!(
        "[defaults]\nhttp-proxy = \"http://user:s3cret@proxy:3128\"\nmin-tls = \"1.3\"\n{REALM}\
         [realms.\"B\"]\nproxies = [\"https://p\"]\nhttp-proxy = \"none\"\nmin-tls = \"1.2\"\n\
         [realms.\"C\"]\nproxies = [\"https://p\"]\nhttp-proxy = \"environment\"\n"
    ));
    let [a, b, c] = [0, 1, 2].map(|place: usize| &config.realms[place].proxy_options);
    assert!(
        matches!(&a.forward_proxy, ForwardProxy::Url(proxy) if proxy.to_string() == "http://proxy:3128")
    );
    assert_eq!(
        (&b.forward_proxy, &c.forward_proxy),
        (&ForwardProxy::None, &ForwardProxy::Environment)
    );
    assert_eq!(
        [a, b, c].map(|out| out.min_tls),
        [MinTls::Tls13, MinTls::Tls12, MinTls::Tls13]
    );
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn a_secret_that_others_may_read_is_worth_a_word() {
    let dir = Dir::new();
    dir.write("token", "abc\n");
    let text =
        format!("{REALM}bearer-token-file = \"token\"\nhttp-proxy = \"http://u:s3cret@proxy\"\n");
    let load = || {
        let file = Some(dir.path().join("config.toml"));
        let sources = Sources {
            file,
            ..Sources::default()
        };
        warnings(&Config::load(&sources).unwrap())
    };
    dir.write("config.toml", &text);
    assert_eq!(load(), [""; 0]);
    for name in ["config.toml", "token"] {
        let path = dir.path().join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let file = path.display();
        assert_eq!(
            load(),
            [format!(
                "any local user may read {file}, which holds a secret; chmod o= {file}"
            )]
        );
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    }
}

#[test]
fn what_names_a_secret_file_is_one_string() {
    let keys = RUN.realm.keys.iter();
    let mut files = keys.filter(|key| key.is(Mark::SecretFile));
    assert!(files.all(|key| key.kind == ValueKind::Text));
}

//! Set-ups that are broken in the ways in which people break them: what the doctor, the status and the log say of each, and that
//! doing what the hint says mends it. nginx, kdcproxy and krb5kdc are the real ones.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;

use loopkdc::relay::finding::{Finding, Hint, Layer};
use rcgen::{CertificateParams, date_time_ymd};

use crate::fronts::{BEHIND, nginx};
use crate::messages::{Kind, framed};
use crate::scene::{REALM, Scene, alone};
use crate::support::authority::Authority;
use crate::support::nameserver::{NameServer, Record};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::proxy::{KdcProxy, Route};
use crate::support::realm::{Preauth, Realm};

/// How one is broken, what is said of it, and what mends it.
struct Setup {
    /// What nginx's server says; PROXY stands for what hands requests on.
    front: &'static str,
    /// How nginx's certificate differs from a good one.
    leaf: fn(&mut CertificateParams),
    url: &'static str,
    /// Lines for the realm.
    lines: &'static str,
    layer: Layer,
    /// What the doctor says.
    words: &'static str,
    /// What the status and the log say, if that is less.
    logged: &'static str,
    /// A part of the hint.
    hint: &'static str,
    mend: Mend,
}

enum Mend {
    /// Who runs the proxy mends it.
    Theirs,
    /// The user replaces that by this in the configuration.
    Ours(&'static str, &'static str),
    /// The user writes the keys of the hint as they are printed, with these files in the place of none or of an example.
    Keys(&'static [&'static str]),
}

const SERVING: &str = "location /KdcProxy { PROXY }";
const WELL: Setup = Setup {
    front: SERVING,
    leaf: |_| {},
    url: "https://localhost/KdcProxy",
    lines: "",
    layer: Layer::Http,
    words: "",
    logged: "",
    hint: "",
    mend: Mend::Theirs,
};

/// What all of them have in common.
struct Site {
    _dir: tempfile::TempDir,
    _realm: Realm,
    _names: NameServer,
    _proxy: KdcProxy,
    authority: Authority,
    files: PathBuf,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let proxy = KdcProxy::start(dir.path(), BEHIND, &[Route::to(&realm)]);
        let names = NameServer::start();
        names.says("other.test", 3600, &[Record::A([127, 0, 0, 1].into())]);
        Self {
            files: proxy.ca_file.parent().unwrap().to_owned(),
            _dir: dir,
            _realm: realm,
            _names: names,
            _proxy: proxy,
            authority: Authority::new(),
        }
    }

    fn front(&self, leaf: fn(&mut CertificateParams), lines: &str) -> Process {
        let (leaf, key) = self.authority.leaf(&["localhost"], leaf);
        fs::write(self.files.join("leaf.pem"), leaf).unwrap();
        fs::write(self.files.join("leaf.key"), key).unwrap();
        self.authority.write(&self.files.join("ca.pem"));
        nginx(
            &self.files,
            &lines.replace("FILES", self.files.to_str().unwrap()),
        )
    }

    /// What a user has at hand, beside a configuration that is broken.
    fn scene(&self, setup: &Setup) -> Scene {
        let scene = Scene::with(&[setup.url.to_owned()], setup.lines);
        self.authority.write(&scene.path("ca.pem"));
        Authority::new().write(&scene.path("other.pem"));
        self.authority.certify_client(&scene.path(""));
        fs::write(scene.path("token"), "s3cret\n").unwrap();
        fs::write(scene.path("text"), "no certificate\n").unwrap();
        if setup.lines.contains("ca-file = ") {
            return scene.with_instead("ca-file = \"ca.pem\"\n", "");
        }
        scene
    }

    /// It is told, and mended by what is told.
    fn is_mended(&self, setup: &Setup) {
        let front = self.front(setup.leaf, setup.front);
        let mut scene = self.scene(setup);
        let serves = setup.layer != Layer::Configuration;
        if serves {
            scene = scene.with_daemon();
        }
        let found = scene.doctor_here(&[]);
        let finding = found.names(setup.layer, "fault", setup.words, setup.hint);
        assert_eq!(found.code, i32::from(setup.layer.exit_code()), "{found:#?}");
        shows_what_is_hinted(&scene, finding);
        let logged = match setup.logged {
            "" => setup.words,
            logged => logged,
        };
        if serves {
            is_told(&scene, logged);
        } else {
            refuses_to_run(&scene, logged);
        }
        scene.stop_daemon();
        let theirs = matches!(setup.mend, Mend::Theirs);
        let _front = if theirs {
            drop(front);
            self.front(WELL.leaf, SERVING)
        } else {
            front
        };
        let mended = match setup.mend {
            Mend::Theirs => scene,
            Mend::Ours(that, this) => scene.with_instead(that, this),
            Mend::Keys(files) => with_keys(scene, finding, files),
        };
        mended.with_daemon().doctor_here(&[]).finds_nothing();
    }
}

/// Each command of the hints can be typed as it is printed: these look, and change nothing.
fn shows_what_is_hinted(scene: &Scene, finding: &Finding) {
    for hint in &finding.hints {
        let Hint::Command(words) = hint else { continue };
        // It wants a systemd, whose test is in the packages'.
        if words[0] == "timedatectl" {
            continue;
        }
        let mut shell = Command::new("sh");
        scene.surround(&mut shell);
        let shown = shell.args(["-c", &hint.to_string()]).output().unwrap();
        // Most fail as what they look at does; but there is such a command.
        let code = shown.status.code();
        assert!(
            ![Some(126), Some(127), None].contains(&code),
            "{hint}: {shown:?}"
        );
    }
}

/// The configuration with the keys that are hinted, instead of what it says of them.
fn with_keys(scene: Scene, finding: &Finding, files: &[&str]) -> Scene {
    let mut text = fs::read_to_string(scene.config()).unwrap();
    let mut files = files.iter();
    for hint in &finding.hints {
        let Hint::Key(printed) = hint else { continue };
        let (key, value) = printed.split_once(" = ").unwrap_or((printed, ""));
        let line = if value.is_empty() || value.contains("FILE") {
            format!("{key} = {:?}", files.next().expect("a file for each"))
        } else {
            printed.to_string()
        };
        let others = text.lines().filter(|other| !other.starts_with(key));
        text = others.map(|other| format!("{other}\n")).collect::<String>() + &line + "\n";
    }
    fs::write(scene.config(), text).unwrap();
    scene
}

/// A client's request fails, and the status says why; and so does the log, of what it says without being asked.
fn is_told(scene: &Scene, words: &str) {
    let mut client = UnixStream::connect(scene.path("kdc.sock")).unwrap();
    let request = framed(&Kind::Plain.request(REALM).bytes);
    client.write_all(&request).unwrap();
    let _ = client.read_to_end(&mut Vec::new());
    let output = scene.command().args(["status", "--json"]).output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    assert!(status.contains(words), "{words:?} is not in {status}");
    scene.daemon().wait_for(words);
}

/// The daemon says why it does not start.
fn refuses_to_run(scene: &Scene, words: &str) {
    let mut command = scene.command();
    command.arg("run").arg("--config").arg(scene.config());
    let output = command.output().unwrap();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(cried.contains(words), "{words:?} is not in {cried}");
}

/// All of them, and what came of each.
fn are_mended(setups: &[Setup]) {
    let site = Site::new();
    let failed = setups.iter().filter(|setup| {
        let tried = catch_unwind(AssertUnwindSafe(|| site.is_mended(setup)));
        tried.is_err()
    });
    let failed: Vec<_> = failed.map(|setup| setup.words).collect();
    assert!(failed.is_empty(), "not told or not mended: {failed:#?}");
}

fn refusing(front: &'static str, words: &'static str, hint: &'static str) -> Setup {
    Setup {
        front,
        words,
        hint,
        ..WELL
    }
}

#[test]
fn what_answers_in_the_place_of_the_proxy() {
    isolated(|| {
        alone(|| {
            let kdc = |front, words| Setup {
                layer: Layer::Kdc,
                ..refusing(front, words, "who runs it should look after its KDCs")
            };
            are_mended(&[
                refusing(
                    "return 401 no;",
                    "it wants to be shown who asks",
                    "who runs it knows which",
                ),
                refusing(
                    "return 403 no;",
                    "it forbids this (HTTP 403)",
                    "who runs it knows why",
                ),
                refusing(
                    "return 403;",
                    "a web page came instead of an answer (HTTP 403)",
                    "ask who runs it",
                ),
                refusing(
                    "return 429 no;",
                    "it has had too many requests",
                    "wait a minute",
                ),
                refusing("return 500 no;", "it failed (HTTP 500)", "its log says why"),
                refusing(
                    "location / { proxy_pass http://127.0.0.1:9; }",
                    "a web page came instead of an answer (HTTP 502)",
                    "ask who runs it",
                ),
                kdc("return 502 no;", "it reaches no KDC (HTTP 502)"),
                kdc(
                    "return 503 no;",
                    "it reaches no KDC, or does not serve this realm (HTTP 503)",
                ),
                kdc("return 504 no;", "it reaches no KDC (HTTP 504)"),
                refusing(
                    "return 511;",
                    "perhaps a captive portal: HTTP 511",
                    "open any page in a browser",
                ),
                refusing(
                    "return 302 https://portal.example.com/;",
                    "perhaps a captive portal: a redirect",
                    "open any page in a browser",
                ),
                refusing(
                    "default_type text/html; return 200 hello;",
                    "perhaps a captive portal: a web page",
                    "open any page in a browser",
                ),
                Setup {
                    layer: Layer::Envelope,
                    ..refusing(
                        "default_type text/plain; return 200 hello;",
                        "no KDC-PROXY-MESSAGE",
                        "correct proxies",
                    )
                },
                Setup {
                    layer: Layer::Envelope,
                    ..refusing("return 200;", "an empty answer", "correct proxies")
                },
            ]);
        });
    });
}

#[test]
fn what_the_user_has_written() {
    isolated(|| {
        alone(|| {
            let file = |lines, words, hint, mend| Setup {
                layer: Layer::Configuration,
                lines,
                words,
                hint,
                mend,
                ..WELL
            };
            are_mended(&[
                Setup {
                    url: "https://localhost/kdcproxy",
                    mend: Mend::Ours("/kdcproxy", "/KdcProxy"),
                    ..refusing(
                        SERVING,
                        "it has no KDC proxy at this path",
                        "which mostly is /KdcProxy",
                    )
                },
                Setup {
                    layer: Layer::Tcp,
                    url: "https://localhost:444/KdcProxy",
                    mend: Mend::Ours(":444", ""),
                    ..refusing(
                        SERVING,
                        "cannot connect: Connection refused",
                        "proxies names the right port",
                    )
                },
                Setup {
                    layer: Layer::Names,
                    url: "https://nobody.test/KdcProxy",
                    logged: "cannot connect",
                    mend: Mend::Ours("nobody.test", "localhost"),
                    ..refusing(
                        SERVING,
                        "Name or service not known",
                        "proxies spells its name right",
                    )
                },
                Setup {
                    layer: Layer::Tls,
                    url: "https://localhost:80/KdcProxy",
                    mend: Mend::Ours(":80", ""),
                    ..refusing(
                        "listen 127.0.0.1:80; location /KdcProxy { PROXY }",
                        "speaks no TLS",
                        "proxies names the right port",
                    )
                },
                Setup {
                    layer: Layer::Tcp,
                    lines: "http-proxy = \"http://127.0.0.1:3128\"",
                    logged: "cannot be connected to",
                    mend: Mend::Keys(&[]),
                    ..refusing(SERVING, "cannot be connected to", "http-proxy = \"none\"")
                },
                Setup {
                    mend: Mend::Keys(&["token"]),
                    ..refusing(
                        "location /KdcProxy { if ($http_authorization != \"Bearer s3cret\") { add_header WWW-Authenticate Bearer always; return 401; } PROXY }",
                        "it wants a token or a password (HTTP 401)",
                        "bearer-token-file",
                    )
                },
                Setup {
                    url: "kkdcp://localhost/KdcProxy",
                    mend: Mend::Ours("kkdcp:", "https:"),
                    ..file(
                        "",
                        "a proxy is an https:// URL",
                        "write \"https://localhost/KdcProxy\"",
                        Mend::Theirs,
                    )
                },
                Setup {
                    url: "https://[::1]:444/KdcProxy",
                    layer: Layer::Tcp,
                    mend: Mend::Ours("[::1]:444", "localhost"),
                    ..refusing(
                        SERVING,
                        "cannot connect: Connection refused",
                        "proxies names the right port",
                    )
                },
                Setup {
                    layer: Layer::Tcp,
                    lines: "http-proxy = \"http://127.0.0.1:80\"",
                    mend: Mend::Ours("http-proxy = \"http://127.0.0.1:80\"", ""),
                    ..refusing(
                        "listen 127.0.0.1:80; location /KdcProxy { PROXY }",
                        "does not connect to the KDC proxy",
                        "have it allow connections to localhost",
                    )
                },
                file(
                    "deadline-secs = 3",
                    "deadline-secs",
                    "deadline-seconds",
                    Mend::Ours("deadline-secs = 3", ""),
                ),
                file(
                    "hedge =",
                    "config.toml:8",
                    "loopkdc check",
                    Mend::Ours("hedge =", ""),
                ),
                file(
                    "client-certificate = \"text\"\nclient-key = \"client.key\"",
                    "client-certificate",
                    "-----BEGIN: cat ",
                    Mend::Ours("\"text\"", "\"client.pem\""),
                ),
                file(
                    "ca-file = \"absent.pem\"",
                    "ca-file",
                    "loopkdc check",
                    Mend::Ours("absent.pem", "ca.pem"),
                ),
                file(
                    "ca-file = \"text\"",
                    "ca-file",
                    "-----BEGIN: cat ",
                    Mend::Ours("\"text\"", "\"ca.pem\""),
                ),
                file(
                    "client-certificate = \"absent.pem\"",
                    "client-certificate",
                    "loopkdc check",
                    Mend::Ours("client-certificate = \"absent.pem\"", ""),
                ),
                file(
                    "bearer-token-file = \"absent\"",
                    "bearer-token-file names a file that can't be read",
                    "bearer-token-file",
                    Mend::Ours("\"absent\"", "\"token\""),
                ),
            ]);
        });
    });
}

#[test]
fn what_is_wrong_with_tls() {
    isolated(|| {
        alone(|| {
            let tls = |front, words, hint| Setup {
                layer: Layer::Tls,
                ..refusing(front, words, hint)
            };
            are_mended(&[
                Setup {
                    lines: "ca-file = \"other.pem\"",
                    logged: "certificate not trusted",
                    mend: Mend::Keys(&["ca.pem"]),
                    ..tls(SERVING, "which is not trusted here", "ca-file = ")
                },
                Setup {
                    leaf: |leaf| leaf.not_after = date_time_ymd(2020, 1, 1),
                    logged: "expired",
                    ..tls(SERVING, "expired", "timedatectl")
                },
                Setup {
                    leaf: |leaf| leaf.not_before = date_time_ymd(2090, 1, 1),
                    logged: "not valid yet",
                    ..tls(SERVING, "not valid yet", "timedatectl")
                },
                Setup {
                    url: "https://other.test/KdcProxy",
                    logged: "certificate not trusted",
                    mend: Mend::Ours("other.test", "localhost"),
                    ..tls(
                        SERVING,
                        "certificate for localhost, not for other.test",
                        "proxies",
                    )
                },
                Setup {
                    lines: "pins = [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]",
                    logged: "no key of its chain is among the pins",
                    mend: Mend::Keys(&[]),
                    ..tls(SERVING, "no key of its chain is among the pins", "pins = ")
                },
                Setup {
                    mend: Mend::Keys(&["client.pem", "client.key"]),
                    ..tls(
                        "ssl_verify_client on; ssl_client_certificate FILES/ca.pem; location /KdcProxy { PROXY }",
                        "it asks for a TLS client certificate",
                        "client-key",
                    )
                },
                tls(
                    "ssl_protocols TLSv1.2; ssl_ciphers AES128-GCM-SHA256;",
                    "no version or cipher of TLS in common",
                    "switch on TLS 1.3",
                ),
            ]);
        });
    });
}

//! Certificates as openssl makes them, right and wrong, shown by openssl's own server: what the doctor, the log and the status say.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use loopkdc::relay::finding::Layer;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::messages::{Kind, framed};
use crate::scene::{Diagnosis, REALM, Scene, UNKNOWN, answering, said};
use crate::support::process::Process;

/// What the scripts below begin with: a root, and what makes leaf.pem with these extensions, signed with these options.
const MAKERS: &str = r#"set -e
EC="ec -pkeyopt ec_paramgen_curve:P-256"
NAME="subjectAltName=IP:127.0.0.1"
root() { openssl req -x509 -newkey ${1:-$EC} -nodes -keyout root.key -out root.pem -days 30 -subj "/CN=Example Root" $2; }
request() { openssl req -newkey ${2:-$EC} -nodes -keyout $1.key -out $1.csr -subj "/CN=$1"; }
sign() { printf "$3" >$1.ext; openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 20 -extfile $1.ext -out $1.pem $4; }
leaf() { request leaf "$3"; sign leaf root "$1" "$2"; }
own() { openssl req -x509 -newkey $EC -nodes -keyout leaf.key -out leaf.pem -days 20 -subj "/CN=kdcproxy" -addext "$NAME" $1; }
dated() { printf '[ca]\ndefault_ca = a\n[a]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\npolicy = b\n[b]\ncommonName = supplied\n' >ca.cnf
  : >index; echo 10 >serial; echo "$NAME" >leaf.ext
  openssl ca -batch -config ca.cnf -cert root.pem -keyfile root.key -notext -extfile leaf.ext -in leaf.csr -out leaf.pem -startdate $1 -enddate $2; }
"#;

/// A certificate that is wrong in one way.
struct Wrong {
    /// Makes root.pem, leaf.pem and leaf.key.
    made: &'static str,
    /// How `openssl s_server` shows it.
    shown: &'static str,
    /// What the doctor says; the log says the second.
    words: [&'static str; 2],
    advice: &'static str,
}

/// Runs `script` in `dir`.
fn made(dir: &Path, script: &str) {
    let output = Command::new("sh")
        .args(["-c", &format!("{MAKERS}{script}")])
        .current_dir(dir)
        .output()
        .unwrap();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {cried}");
}

/// `openssl s_server` with leaf.pem of `dir` and these options; where it listens.
fn serve(dir: &Path, options: &str) -> (Process, String) {
    let mut command = Command::new("openssl");
    let line = "s_server -accept 127.0.0.1:0 -www -cert leaf.pem -key leaf.key";
    command.args(line.split_whitespace());
    command.args(options.split_whitespace()).current_dir(dir);
    let server = Process::start("openssl s_server", &mut command, "ACCEPT");
    let log = server.log();
    let accepts = log.lines().find_map(|line| line.strip_prefix("ACCEPT "));
    let address = accepts.unwrap().to_owned();
    (server, address)
}

/// The scene of a realm whose proxy is at `address`, and which trusts what `ca` in `dir` holds.
fn scene(dir: &Path, ca: &str, address: &str, lines: &str) -> Scene {
    let mut scene = Scene::with(&[format!("https://{address}/KdcProxy")], lines);
    fs::copy(dir.join(ca), scene.path("ca.pem")).unwrap();
    scene.usual.extend([
        (
            format!("https://{address}"),
            "https://kdcproxy.example.com".to_owned(),
        ),
        (address.to_owned(), "192.0.2.7:443".to_owned()),
    ]);
    scene.with_daemon()
}

/// A name of a program's own, such as `CaUsedAsEndEntity`.
fn program_name(text: &str) -> Option<&str> {
    let mut words = text.split(|sign: char| !sign.is_ascii_alphanumeric());
    words.find(|word| {
        let humps = word.as_bytes().windows(2).filter(|two| {
            let [before, after] = two else { return false };
            before.is_ascii_lowercase() && after.is_ascii_uppercase()
        });
        *word != "KdcProxy"
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && humps.count() > 0
    })
}

#[track_caller]
fn assert_plain(text: &str) {
    assert_eq!(program_name(text), None, "{text}");
}

/// Has a client ask `scene`'s daemon, until the log says `words`; all that it shows is in plain words.
fn log_says(scene: &Scene, words: &str) {
    let mut client = UnixStream::connect(scene.path("kdc.sock")).unwrap();
    client
        .write_all(&framed(&Kind::Plain.request(REALM).bytes))
        .unwrap();
    scene.daemon().wait_for(words);
    assert_plain(&scene.daemon().log());
    let output = scene.command().args(["status", "--json"]).output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    assert!(status.contains(words), "{status}");
    assert_plain(&status);
}

fn all_words(found: &Diagnosis) -> String {
    let findings = found.findings.iter();
    let words = findings.map(|finding| format!("{}\n{}\n", said(finding), finding.advice()));
    words.collect()
}

/// Each of them is named by the doctor, the log and the status.
#[track_caller]
fn are_named(all: &[Wrong]) {
    for wrong in all {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path(), wrong.made);
        let (_server, address) = serve(dir.path(), wrong.shown);
        let scene = scene(dir.path(), "root.pem", &address, "");
        let found = scene.diagnose();
        assert_plain(&all_words(&found));
        found.is_at_fault(Layer::Tls, wrong.words[0], wrong.advice);
        log_says(&scene, wrong.words[1]);
    }
}

#[test]
fn names_of_programs_are_found() {
    for bad in [
        "Other(OtherError(CaUsedAsEndEntity))",
        "alert: HandshakeFailure",
    ] {
        assert!(program_name(bad).is_some(), "{bad}");
    }
    for good in [
        "https://h/KdcProxy subjectAltName",
        "an RSA key of TLS 1.2, X25519MLKEM768",
    ] {
        assert_eq!(program_name(good), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_dates() {
    are_named(&[
        Wrong {
            made: "root; request leaf; sign leaf root extendedKeyUsage=serverAuth",
            shown: "",
            words: ["made out to no name (subjectAltName)"; 2],
            advice: "who runs it has to renew the certificate, with its host in subjectAltName",
        },
        Wrong {
            made: "root; leaf subjectAltName=DNS:kdcproxy.example.org",
            shown: "",
            words: [
                "certificate for kdcproxy.example.org, not for 127.0.0.1",
                "made out to another name",
            ],
            advice: "proxies",
        },
        Wrong {
            made: "root; request leaf; dated 20010101000000Z 20020101000000Z",
            shown: "",
            words: ["expired, or the clock here is wrong"; 2],
            advice: "timedatectl",
        },
        Wrong {
            made: "root; request leaf; dated 21900101000000Z 21910101000000Z",
            shown: "",
            words: ["not valid yet, or the clock here is wrong"; 2],
            advice: "timedatectl",
        },
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_certificates() {
    are_named(&[
        Wrong {
            made: "root; request leaf; openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -CAcreateserial -out leaf.pem
                openssl x509 -in leaf.pem -noout -text | grep 'Version: 1 '",
            shown: "",
            words: ["of an older version of X.509 than 3"; 2],
            advice: "as version 3, with its host in subjectAltName",
        },
        Wrong {
            made: "root; leaf \"$NAME\" -sha1",
            shown: "-cipher DEFAULT@SECLEVEL=0",
            words: ["signed in a way that is not trusted, such as SHA-1"; 2],
            advice: "signed with SHA-256",
        },
        Wrong {
            made: "root; leaf \"$NAME\" '' rsa:1024",
            shown: "-cipher DEFAULT@SECLEVEL=0",
            words: ["an RSA key of fewer than 2048 bits"; 2],
            advice: "with a key of 2048 bits or more",
        },
        Wrong {
            made: "root rsa:1024; leaf \"$NAME\"",
            shown: "",
            words: ["an RSA key of fewer than 2048 bits"; 2],
            advice: "with a key of 2048 bits or more",
        },
        Wrong {
            made: "root; leaf \"$NAME\\nextendedKeyUsage=clientAuth\"",
            shown: "",
            words: ["not made for servers (extendedKeyUsage)"; 2],
            advice: "for serverAuth",
        },
        Wrong {
            made: "root; leaf \"$NAME\\n1.2.3.4=critical,ASN1:NULL\"",
            shown: "",
            words: ["it has a critical extension that is not known here"; 2],
            advice: "without that extension",
        },
        Wrong {
            made: "root; own",
            shown: "",
            words: [
                "certificate of kdcproxy is an authority's own (CA:TRUE), not in ca-file",
                "an authority's own (CA:TRUE), not in ca-file",
            ],
            advice: "if it is the proxy's own, get it from who runs it",
        },
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chains() {
    const UNTRUSTED: [&str; 2] = [
        "certificate signed by \"mid\", which is not trusted here",
        "signed by an unknown authority",
    ];
    are_named(&[
        Wrong {
            made: "root; request mid; sign mid root basicConstraints=critical,CA:TRUE; request leaf; sign leaf mid \"$NAME\"",
            shown: "",
            words: UNTRUSTED,
            advice: "append its certificate to the server's",
        },
        Wrong {
            made: "root; request mid; sign mid root basicConstraints=CA:FALSE; request leaf; sign leaf mid \"$NAME\"",
            shown: "-cert_chain mid.pem",
            words: ["signed by one that is no authority (CA:FALSE)"; 2],
            advice: "at an authority that may sign it",
        },
        Wrong {
            made: "root; request mid; sign mid root 'basicConstraints=critical,CA:TRUE\\nnameConstraints=permitted;IP:192.0.2.0/255.255.255.0'
                request leaf; sign leaf mid \"$NAME\"",
            shown: "-cert_chain mid.pem",
            words: ["its authority may not sign it (nameConstraints, pathlen)"; 2],
            advice: "at an authority that may sign it",
        },
        Wrong {
            made: "root; request top; sign top root basicConstraints=critical,CA:TRUE,pathlen:0
                request mid; sign mid top basicConstraints=critical,CA:TRUE; request leaf; sign leaf mid \"$NAME\"; cat mid.pem top.pem >chain.pem",
            shown: "-cert_chain chain.pem",
            words: ["its authority may not sign it (nameConstraints, pathlen)"; 2],
            advice: "at an authority that may sign it",
        },
        Wrong {
            made: "root; before=root; : >chain.pem; for n in 1 2 3 4 5 6 7 8; do request $n; sign $n $before basicConstraints=critical,CA:TRUE
                before=$n; cat $n.pem chain.pem >more; mv more chain.pem; done; request leaf; sign leaf $before \"$NAME\"",
            shown: "-cert_chain chain.pem",
            words: ["its chain is too long"; 2],
            advice: "have it send its own chain alone",
        },
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_servers() {
    let words = ["no version or cipher of TLS in common"; 2];
    let all = [
        "-tls1_1 -cipher DEFAULT@SECLEVEL=0",
        "-tls1_2 -cipher AES128-SHA",
    ];
    are_named(&all.map(|shown| Wrong {
        made: "root; leaf \"$NAME\" '' rsa:2048",
        shown,
        words,
        advice: "switch on TLS 1.3, or ECDHE ciphers of TLS 1.2",
    }));
}

/// What `openssl req -x509` makes is an authority, which a server may show all the same to who trusts that very certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_in_ca_file_is_trusted_itself() {
    let dir = tempfile::tempdir().unwrap();
    made(
        dir.path(),
        "own; openssl x509 -in leaf.pem -noout -text | grep CA:TRUE
        openssl x509 -in leaf.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64 >pin",
    );
    let leaf = CertificateDer::from_pem_file(dir.path().join("leaf.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.path().join("leaf.key")).unwrap();
    let own = (vec![leaf], key);
    let upstream = answering(UNKNOWN, 0).presenting(own).start();
    let address = upstream.address().to_string();
    let pin = fs::read_to_string(dir.path().join("pin")).unwrap();
    let pins = format!("pins = [\"sha256/{}\"]", pin.trim());
    for lines in ["", &pins] {
        let found = scene(dir.path(), "leaf.pem", &address, lines).diagnose();
        found.finds_nothing();
        found.is_well("tls", "certificates: kdcproxy");
        assert_plain(&all_words(&found));
    }
}

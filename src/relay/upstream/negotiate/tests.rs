use bytes::Bytes;
use reqwest::header::WWW_AUTHENTICATE;
use tempfile::TempDir;

use super::*;
use crate::wire::Service;
use crate::wire::tests::handmade::{field, kdc_req, message, principal, sequence, string};

const SECOND: Duration = Duration::from_secs(1);

fn whose() -> Negotiate {
    Negotiate {
        keytab: Some("/nowhere/keytab".into()),
        ccache: None,
        principal: Some(Principal {
            name: "host/laptop.example".to_owned(),
            realm: "EXAMPLE.COM".to_owned(),
        }),
    }
}

/// A negotiator whose process is this script of the shell, which may take `patience`.
fn within(patience: Duration, script: &str) -> Arc<Negotiator> {
    Arc::new(Negotiator {
        patience,
        ..Negotiator::scripted(script)
    })
}

impl Negotiator {
    /// Tokens by a script of the shell.
    pub(in crate::relay::upstream) fn scripted(script: &str) -> Self {
        let mut negotiator = Self::new(&whose(), "kdcproxy.example");
        negotiator.program.file = "/bin/sh".into();
        negotiator.program.args = vec!["-c".to_owned(), script.to_owned()];
        negotiator
    }
}

fn by(script: &str) -> Arc<Negotiator> {
    within(60 * SECOND, script)
}

/// An AS-REQ (10) or a TGS-REQ (12) of `cname` for `sname`.
fn request(number: u8, realm: &str, cname: &[&str], sname: &[&str]) -> KerberosMessage {
    let body = [
        field(1, &principal(1, cname)),
        field(2, &string(realm)),
        field(3, &principal(2, sname)),
    ];
    let bytes = message(number, &[&field(4, &sequence(&[&body.concat()]))]);
    KerberosMessage::parse(Service::Kdc, bytes.into()).unwrap()
}

fn for_the_ticket() -> KerberosMessage {
    request(12, "EXAMPLE.COM", &[], &["HTTP", "kdcproxy.example"])
}

fn why(begun: Result<Conversation, Unsent>) -> String {
    match begun.unwrap_err() {
        Unsent::NoCredential(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_request_has_a_token_of_its_own_and_one_process_makes_them() {
    let negotiator = by("n=0; while read ask; do n=$((n+1)); echo token $n $$-$n; done");
    let [one, two] = [negotiator.begin().await, negotiator.begin().await];
    let [one, two] = [one, two].map(|begun| begun.unwrap().token().to_str().unwrap().to_owned());
    let process = one
        .strip_prefix("Negotiate ")
        .unwrap()
        .strip_suffix("-1")
        .unwrap();
    assert_eq!(two, format!("Negotiate {process}-2"));
}

#[tokio::test]
async fn a_token_is_shown_nowhere() {
    let negotiator = by("read ask; echo token 1 c2Vj''cmV0");
    let conversation = negotiator.begin().await.unwrap();
    assert!(conversation.token().is_sensitive());
    assert!(!format!("{conversation:?}").contains("c2VjcmV0"));
}

#[tokio::test]
async fn a_proxy_says_who_it_is_or_wants_more_or_is_not_believed() {
    let script = "read ask; echo token 7 Zmlyc3Q=; read ask; echo token 7 c2Vjb25k; read ask; \
                  [ \"$ask\" = 'go-on 7 Ym9iaQ==' ] && echo done 7; read ask; echo failed no";
    let negotiator = by(script);
    let mut conversation = negotiator.begin().await.unwrap();
    assert_eq!(conversation.go_on("YWxpY2U=").await, Ok(false));
    assert_eq!(conversation.token(), "Negotiate c2Vjb25k");
    assert_eq!(conversation.go_on("Ym9iaQ==").await, Ok(true));
    assert_eq!(conversation.go_on("Ym9iaQ==").await, Err("no".to_owned()));
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_come_soon_after() {
    let negotiator = by("read ask; echo failed no key; while read ask; do echo token 1 YQ==; done");
    assert_eq!(why(negotiator.begin().await), "no key");
    assert_eq!(why(negotiator.begin().await), "no key");
    // Later it is tried again.
    let long_ago = Instant::now().checked_sub(2 * FAILED).unwrap();
    lock(&negotiator.fetch).failed.as_mut().unwrap().0 = long_ago;
    negotiator.begin().await.unwrap();
}

#[tokio::test]
async fn a_process_that_ends_or_talks_nonsense_is_replaced() {
    for (script, words) in [
        ("exit", "the process for GSSAPI has ended"),
        ("read ask; printf token", "the process for GSSAPI has ended"),
        (
            "read ask; echo hello",
            "the process for GSSAPI says what it should not",
        ),
        (
            "read ask; echo token x y",
            "the process for GSSAPI says what it should not",
        ),
        (
            "head -c 999999 /dev/zero",
            "the process for GSSAPI has ended",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let mark = dir.path().join("mark");
        let mark = mark.display();
        let negotiator = by(&format!(
            "if [ -e {mark} ]; then read ask; echo token 1 YQ==; else : >{mark}; {script}; fi"
        ));
        assert_eq!(why(negotiator.begin().await), words, "{script}");
        lock(&negotiator.fetch).failed = None;
        negotiator.begin().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_its_process_with_it() {
    let negotiator = within(SECOND / 20, "read ask; read never");
    assert_eq!(why(negotiator.begin().await), "no token within 0 s");
    assert!(negotiator.process.lock().await.is_none());
    assert!(!negotiator.is_looping(&for_the_ticket()));
}

/// A process that answers with what is written to a pipe, once its call has begun.
async fn while_fetching(
    answer: &str,
    meanwhile: impl Fn(&Negotiator),
) -> Result<Conversation, Unsent> {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let negotiator = by(&format!(
        "read ask; read answer <{}; echo \"$answer\"",
        pipe.display()
    ));
    let (begun, ()) = tokio::join!(negotiator.begin(), async {
        while !lock(&negotiator.fetch).under_way {
            tokio::task::yield_now().await;
        }
        meanwhile(&negotiator);
        let answer = format!("{answer}\n");
        tokio::task::spawn_blocking(move || std::fs::write(pipe, answer))
            .await
            .unwrap()
            .unwrap();
    });
    begun
}

#[tokio::test]
async fn a_request_for_the_ticket_that_comes_back_is_a_loop() {
    let begun = while_fetching("failed Cannot contact any KDC", |negotiator| {
        assert!(negotiator.is_looping(&for_the_ticket()));
    });
    assert_eq!(begun.await.unwrap_err(), Unsent::TicketLoop);
}

#[tokio::test]
async fn who_gets_the_ticket_elsewhere_is_in_no_loop() {
    let begun = while_fetching("token 1 YQ==", |negotiator| {
        assert!(negotiator.is_looping(&for_the_ticket()));
    });
    begun.await.unwrap();
}

#[tokio::test]
async fn other_requests_are_no_loop() {
    let begun = while_fetching("failed no key", |negotiator| {
        for (request, is_looping) in [
            (
                request(
                    10,
                    "example.com",
                    &["host", "laptop.example"],
                    &["krbtgt", "EXAMPLE.COM"],
                ),
                true,
            ),
            (
                request(
                    10,
                    "OTHER.COM",
                    &["host", "laptop.example"],
                    &["krbtgt", "OTHER.COM"],
                ),
                false,
            ),
            (
                request(10, "EXAMPLE.COM", &["user"], &["HTTP", "kdcproxy.example"]),
                false,
            ),
            (
                request(12, "EXAMPLE.COM", &[], &["HTTP", "KDCProxy.Example"]),
                true,
            ),
            (
                request(12, "EXAMPLE.COM", &[], &["HTTP", "www.example"]),
                false,
            ),
            (
                request(12, "EXAMPLE.COM", &[], &["krbtgt", "OTHER.COM"]),
                false,
            ),
        ] {
            assert_eq!(negotiator.is_looping(&request), is_looping, "{request:?}");
        }
    });
    // But one of these came back.
    assert_eq!(begun.await.unwrap_err(), Unsent::TicketLoop);
    let without_keys = Negotiate {
        keytab: None,
        ..whose()
    };
    let own = Negotiator::new(&without_keys, "kdcproxy.example");
    assert!(!own.asks_for_ticket(&request(
        10,
        "EXAMPLE.COM",
        &["host", "laptop.example"],
        &[]
    )));
    let odd = KerberosMessage::parse(Service::Kdc, Bytes::from(kdc_req(12, &[], "A"))).unwrap();
    assert!(!own.asks_for_ticket(&odd));
}

#[test]
fn a_token_stands_behind_its_scheme() {
    let token = |challenges: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        token_in(&headers).map(str::to_owned)
    };
    for challenges in [
        &["Basic realm=x", "negotiate YQ=="][..],
        // Several may stand in one field (RFC 9110 11.6.1).
        &[r#"Basic realm="a, b", Negotiate YQ=="#],
        &["Negotiate YQ==, Basic realm=x"],
        &[r#"Basic realm="a\", Negotiate Yg==", charset = UTF-8, Negotiate YQ=="#],
    ] {
        assert_eq!(token(challenges).as_deref(), Some("YQ=="), "{challenges:?}");
    }
    for none in [
        &["Negotiate"][..],
        &["Negotiate "],
        &["Bearer YQ=="],
        &[r#"Basic realm="x, Negotiate YQ==""#],
        &[],
    ] {
        assert_eq!(token(none), None, "{none:?}");
    }
}

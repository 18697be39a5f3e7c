//! Conversations of several rounds (RFC 4559 4.1), with a proxy and a GSSAPI library that do what a script says. Over plain
//! HTTP, which no configuration allows.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::relay::upstream::ConnReuse;
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::tests::handmade::{kdc_req, pa_data};

/// An HTTP request as it came: its Authorization, its body, and the connection's number from 1.
type Request = (String, Vec<u8>, usize);

/// A proxy that says these responses, one after the other, and then has nothing more to say.
struct Scripted {
    url: Url,
    heard: JoinHandle<Vec<Request>>,
}

impl Scripted {
    fn start(responses: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/KdcProxy", listener.local_addr().unwrap());
        let heard = thread::spawn(move || {
            let mut responses = responses.into_iter().peekable();
            let mut heard = Vec::new();
            for connection in 1.. {
                if responses.peek().is_none() {
                    break;
                }
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                while responses.peek().is_some()
                    && let Some((authorization, body)) = request(&mut stream)
                {
                    heard.push((authorization, body, connection));
                    let response = responses.next().unwrap();
                    stream.get_mut().write_all(response.as_bytes()).unwrap();
                }
            }
            heard
        });
        Self {
            url: url.parse().unwrap(),
            heard,
        }
    }

    /// What came of one request, by a library that answers as `library` of the shell does; and what the proxy heard.
    async fn asked(self, library: &str) -> (Result<Reply, Fault>, Vec<Request>) {
        let out = ProxyOptions::default();
        let tls = SystemRoots::load().client(&[], &out).unwrap();
        let mut proxy = KdcProxy::new(self.url, tls, &out, Permitted::Any);
        proxy.negotiator = Some(Arc::new(Negotiator::scripted(library)));
        let answer =
            tokio::time::timeout(Duration::from_secs(30), proxy.send(outgoing(), |_| ())).await;
        (answer.unwrap(), self.heard.join().unwrap())
    }
}

fn outgoing() -> Outgoing {
    let octets = kdc_req(10, &[pa_data(2, b"")], "EXAMPLE.COM");
    let message = KerberosMessage::parse(Service::Kdc, octets.into()).unwrap();
    Outgoing::new(message, ConnReuse::KnownAlive)
}

fn request(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut authorization, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((authorization, body))
}

fn wants_more(token: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Negotiate {token}\r\n\
         content-length: 9\r\n\r\nnot yet, "
    )
}

/// An answer whose body is no Kerberos: what counts here is how far it gets.
fn serves(token: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nwww-authenticate: Negotiate {token}\r\ncontent-length: 2\r\n\r\nok")
}

/// A library that wants `rounds` tokens of the proxy before it believes it.
fn in_rounds(rounds: usize) -> String {
    let next = |round: usize| format!("read ask; echo token 1 ours{round};");
    let tokens: String = (1..=rounds).map(next).collect();
    format!("{tokens} read ask; echo done 1")
}

const NO_KERBEROS: Fault = Fault::NotKerberos(NotReply::NoEnvelope);

#[tokio::test]
async fn a_conversation_goes_on_over_its_connection_and_the_request_with_it() {
    let proxy = Scripted::start(vec![
        wants_more("theirs1"),
        wants_more("theirs2"),
        serves("theirs3"),
    ]);
    let (answer, heard) = proxy.asked(&in_rounds(3)).await;
    assert_eq!(answer.unwrap_err(), NO_KERBEROS);
    let said = |round| (format!("Negotiate ours{round}"), outgoing().envelope(), 1);
    assert_eq!(heard, [said(1), said(2), said(3)]);
}

#[tokio::test]
async fn a_conversation_without_end_is_a_refusal() {
    let proxy = Scripted::start(vec![wants_more("theirs"); MAX_ROUNDS]);
    let (answer, heard) = proxy.asked(&in_rounds(MAX_ROUNDS + 1)).await;
    assert_eq!(answer.unwrap_err(), Fault::wants(Credential::OtherTicket));
    assert_eq!(heard.len(), MAX_ROUNDS);
}

#[tokio::test]
async fn a_proxy_that_has_heard_all_and_wants_more_refuses() {
    for refusal in [
        wants_more("theirs"),
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Negotiate\r\ncontent-length: 0\r\n\r\n"
            .to_owned(),
    ] {
        let (answer, heard) = Scripted::start(vec![refusal]).asked(&in_rounds(1)).await;
        assert_eq!(answer.unwrap_err(), Fault::wants(Credential::OtherTicket));
        assert_eq!(heard.len(), 1);
    }
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_none() {
    let library = "read ask; echo token 1 ours; read ask; echo failed a wrong signature";
    let (answer, _) = Scripted::start(vec![serves("theirs")]).asked(library).await;
    let fault = Fault::NotKerberos(NotReply::Unproven);
    assert_eq!(answer.unwrap_err(), fault);
    // Not all have an answer to it.
    let silent = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned();
    let (answer, _) = Scripted::start(vec![silent]).asked(library).await;
    assert_eq!(answer.unwrap_err(), NO_KERBEROS);
}

#[tokio::test]
async fn what_could_not_be_shown_was_not_sent() {
    let proxy = Scripted::start(Vec::new());
    let (answer, heard) = proxy.asked("read ask; echo failed no keys").await;
    let unsent = Unsent::NoCredential("no keys".into());
    assert_eq!(answer.unwrap_err(), Fault::NotSent(unsent));
    assert_eq!(heard, []);
}

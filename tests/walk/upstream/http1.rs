//! HTTP/1.1 by hand: a script needs to say which octets go out and when the connection ends.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::play::{Move, Page};
use super::{Ended, Speaker};

type Stream<'a> = BufStream<&'a mut TlsStream<TcpStream>>;

/// Answers requests until the script or the client ends the connection.
pub(super) async fn serve(stream: &mut TlsStream<TcpStream>, speaker: Speaker<'_>) -> Ended {
    let mut stream = BufStream::new(stream);
    loop {
        match answer_one(&mut stream, speaker).await {
            Ok(None) => {}
            Ok(Some(ended)) => return ended,
            Err(_) => return Ended::Closed,
        }
    }
}

async fn answer_one(stream: &mut Stream<'_>, speaker: Speaker<'_>) -> io::Result<Option<Ended>> {
    let head = read_head(stream).await?;
    let length = head
        .value("content-length")
        .parse()
        .expect("a Content-Length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    match speaker.play(&head.path, head.fields, body).await {
        Move::Respond(page) => respond(stream, &page).await?,
        Move::RespondAndLeave(page) => {
            respond(stream, &page.with("connection", "close")).await?;
            return Ok(Some(Ended::Closed));
        }
        Move::RespondAndMore(page, gate, more) => {
            respond(stream, &page).await?;
            gate.passed().await;
            stream.write_all(&more).await?;
            stream.flush().await?;
        }
        Move::Octets(octets) => {
            stream.write_all(&octets).await?;
            stream.shutdown().await?;
            return Ok(Some(Ended::Closed));
        }
        Move::Cut(octets) => {
            stream.write_all(&octets).await?;
            stream.flush().await?;
            return Ok(Some(Ended::Closed));
        }
        Move::Endless => stream_endlessly(stream).await?,
        Move::Silence | Move::Freeze => std::future::pending().await,
        Move::End(ended) => return Ok(Some(ended)),
        Move::ResetStream(_) | Move::GoAway(_) | Move::GoAwayBefore(_) => {
            unreachable!("HTTP/2 only")
        }
    }
    Ok(None)
}

struct Head {
    path: String,
    fields: Vec<(String, String)>,
}

impl Head {
    fn value(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map_or("", |(_, value)| value)
    }
}

async fn read_head(stream: &mut Stream<'_>) -> io::Result<Head> {
    let first = read_line(stream).await?;
    let path = first
        .strip_prefix("POST ")
        .and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let path = path
        .unwrap_or_else(|| panic!("not a POST: {first}"))
        .to_owned();
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream).await?;
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Head { path, fields });
        };
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

async fn read_line(stream: &mut Stream<'_>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

/// A Content-Length of the page's own stays as it is, right or wrong.
async fn respond(stream: &mut Stream<'_>, page: &Page) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", page.status);
    for (name, value) in &page.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !page
        .headers
        .iter()
        .any(|(name, _)| *name == "content-length")
    {
        head.push_str(&format!("content-length: {}\r\n", page.body.len()));
    }
    head.push_str("\r\n");
    stream
        .write_all(&[head.as_bytes(), &page.body].concat())
        .await?;
    stream.flush().await
}

async fn stream_endlessly(stream: &mut Stream<'_>) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 Scripted\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    loop {
        stream.write_all(b"1000\r\n").await?;
        stream.write_all(&[0x5a; 0x1000]).await?;
        stream.write_all(b"\r\n").await?;
    }
}

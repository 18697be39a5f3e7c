//! HTTP/2: each request is played by itself, and what ends the connection ends it for all.

use std::future::poll_fn;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::server::{SendResponse, handshake};
use h2::{Reason, RecvStream};
use hyper::header::HeaderValue;
use hyper::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::play::{Move, Page};
use super::{Ended, Speaker};

/// Answers requests until the script or the client ends the connection.
pub(super) async fn serve(stream: &mut TlsStream<TcpStream>, speaker: Speaker<'_>) -> Ended {
    let Ok(mut connection) = handshake(&mut *stream).await else {
        return Ended::Closed;
    };
    let mut playing = FuturesUnordered::new();
    let (last, reason) = loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => playing.push(answer(request, respond, speaker)),
                _ => return Ended::Closed,
            },
            Some(after) = playing.next() => match after {
                After::Nothing => {}
                After::Freeze => std::future::pending().await,
                After::Leave => connection.graceful_shutdown(),
                After::GoAway(reason) => connection.abrupt_shutdown(reason),
                After::GoAwayBefore(stream, reason) => break (stream.saturating_sub(2), reason),
                After::End(ended) => return ended,
            },
        }
    };
    drop((connection, playing));
    // GOAWAY (RFC 9113 6.8) by hand: h2 has looked at all that came.
    let frame = [
        &[0, 0, 8, 7, 0, 0, 0, 0, 0][..],
        &last.to_be_bytes(),
        &u32::from(reason).to_be_bytes(),
    ]
    .concat();
    let _ = stream.write_all(&frame).await;
    let _ = stream.flush().await;
    Ended::Closed
}

/// What a request means for its connection.
enum After {
    Nothing,
    Freeze,
    Leave,
    GoAway(Reason),
    /// The stream's number.
    GoAwayBefore(u32, Reason),
    End(Ended),
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    speaker: Speaker<'_>,
) -> After {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(chunk)) = incoming.data().await {
        body.extend_from_slice(&chunk);
        let _ = incoming.flow_control().release_capacity(chunk.len());
    }
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), text(value)));
    match speaker.play(head.uri.path(), headers.collect(), body).await {
        Move::Respond(page) => send(&mut respond, &page),
        Move::RespondAndLeave(page) => {
            send(&mut respond, &page);
            return After::Leave;
        }
        Move::Octets(_) | Move::Cut(_) | Move::RespondAndMore(..) => unreachable!("HTTP/1.1 only"),
        Move::Endless => return stream_endlessly(&mut respond).await,
        Move::Silence => std::future::pending().await,
        Move::Freeze => return After::Freeze,
        Move::End(ended) => return After::End(ended),
        Move::ResetStream(reason) => respond.send_reset(reason),
        Move::GoAway(reason) => return After::GoAway(reason),
        Move::GoAwayBefore(reason) => {
            return After::GoAwayBefore(respond.stream_id().into(), reason);
        }
    }
    After::Nothing
}

/// A client that has gone doesn't hear it.
fn send(respond: &mut SendResponse<Bytes>, page: &Page) {
    let mut head = Response::builder().status(page.status);
    for (name, value) in &page.headers {
        head = head.header(*name, value);
    }
    if let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) {
        let _ = stream.send_data(page.body.clone().into(), true);
    }
}

async fn stream_endlessly(respond: &mut SendResponse<Bytes>) -> After {
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else {
        return After::Nothing;
    };
    loop {
        stream.reserve_capacity(0x1000);
        let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await else {
            return After::Nothing;
        };
        if stream.send_data(vec![0x5a; room].into(), false).is_err() {
            return After::Nothing;
        }
    }
}

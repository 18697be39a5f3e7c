//! Where the metrics are read: `GET /metrics` over plain HTTP/1, on a loopback address.
//!
//! One request a connection, and one deadline for all of it: there is nothing to be fast for here.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::daemon::accept::{accept_each, answer_once};
use crate::daemon::bind::StreamSocket;
use crate::daemon::slots::ConnLimit;
use crate::daemon::tasks::Tasks;
use crate::gateway::https::ErrorResponse;
use crate::gateway::metrics::Metrics;
use crate::relay::shares::Holder;

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Connections at once: of the few who read metrics, each needs one.
const CONNECTIONS: usize = 8;
/// From accept to the end of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most octets of a request.
const MAX_HEADERS: usize = 8 * 1024;

/// Serves `metrics` at `listener`, in `tasks`, until they stop. Must be called inside a runtime.
pub fn serve(listener: StreamSocket, metrics: Arc<Metrics>, tasks: &Tasks) {
    let limit = ConnLimit::new(CONNECTIONS, &metrics.exchange, tasks);
    tasks.tracker.spawn(async move {
        let one = |stream, slot| answer_once(slot, DEADLINE, answer(stream, Arc::clone(&metrics)));
        accept_each(&listener, &limit, |_| Some(Holder::Unknown), one).await;
    });
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    metrics: Arc<Metrics>,
) -> hyper::Result<()> {
    let answer = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, &metrics);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http1 = http1::Builder::new();
    http1.keep_alive(false).max_buf_size(MAX_HEADERS);
    http1.serve_connection(TokioIo::new(stream), answer).await
}

fn respond(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET) => {
            let mut response = Response::new(Full::new(metrics.scrape().into()));
            response.headers_mut().insert(CONTENT_TYPE, OPENMETRICS);
            response
        }
        ("/metrics", _) => ErrorResponse::method("GET").into_response(),
        _ => {
            let text = "the metrics are at /metrics";
            ErrorResponse::new(StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::relay::answer::OnFailure;
    use crate::relay::exchange::{Exchange, Routing};
    use crate::relay::routes::Routes;

    #[tokio::test]
    async fn who_does_not_ask_in_time_is_not_waited_for() {
        let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
        let exchange = Exchange::new(routing, 1);
        let connections = ConnLimit::new(1, &exchange, &Tasks::default());
        for asked in [&b""[..], b"GET /metrics HT"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(asked).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let slot = connections.acquire(Holder::Unknown).unwrap();
            let deadline = Duration::from_millis(20);
            let answer = answer(stream, Metrics::new(&exchange, None));
            let served = answer_once(slot, deadline, answer);
            let patience = Duration::from_secs(5);
            tokio::time::timeout(patience, served).await.unwrap();
            assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
        }
    }
}

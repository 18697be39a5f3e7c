//! A KDC proxy that answers every POST with the same reply.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::{Outcome, read};

#[derive(Args)]
pub(crate) struct Options {
    /// PEM: the stub's certificate
    #[arg(long)]
    certificate: PathBuf,
    /// PEM: its key
    #[arg(long)]
    key: PathBuf,
    /// The body of every reply: a KDC-PROXY-MESSAGE
    #[arg(long)]
    body: PathBuf,
    /// The one protocol that it agrees to by ALPN
    #[arg(long)]
    http: Http,
}

#[derive(Clone, Copy, ValueEnum)]
enum Http {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

struct Stub {
    tls: TlsAcceptor,
    http: Http,
    body: Bytes,
    posts: AtomicU64,
    handshakes: AtomicU64,
}

/// Serves until SIGTERM, then says how often it was asked.
pub(crate) async fn run(options: &Options) -> Outcome<()> {
    let stub = Arc::new(Stub {
        tls: acceptor(options)?,
        http: options.http,
        body: read(&options.body)?.into(),
        posts: AtomicU64::new(0),
        handshakes: AtomicU64::new(0),
    });
    serve(&stub).await?;
    println!(
        "posts={} handshakes={}",
        stub.posts.load(Relaxed),
        stub.handshakes.load(Relaxed)
    );
    Ok(())
}

fn acceptor(options: &Options) -> Outcome<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain =
        CertificateDer::pem_file_iter(&options.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&options.key)?;
    // aws-lc gathers jitter for some 50 ms before its first random octet: the clients are not to wait for that.
    provider
        .secure_random
        .fill(&mut [0])
        .map_err(|_| "no random octets")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![match options.http {
        Http::One => b"http/1.1".to_vec(),
        Http::Two => b"h2".to_vec(),
    }];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(stub: &Arc<Stub>) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut end = signal(SignalKind::terminate())?;
    println!("ready port={}", listener.local_addr()?.port());
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let stub = Arc::clone(stub);
                tokio::spawn(async move {
                    // A client that goes away is no fault of the stub's; what it lost, the clients count.
                    if let Err(error) = connection(stub, accepted?.0).await {
                        eprintln!("connection: {error}");
                    }
                    Outcome::Ok(())
                });
            }
            _ = end.recv() => return Ok(()),
        }
    }
}

async fn connection(stub: Arc<Stub>, stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(stub.tls.accept(stream).await?);
    stub.handshakes.fetch_add(1, Relaxed);
    let http = stub.http;
    let service = service_fn(move |request| answer(Arc::clone(&stub), request));
    match http {
        Http::One => {
            http1::Builder::new()
                .auto_date_header(false)
                .serve_connection(stream, service)
                .await?
        }
        Http::Two => {
            http2::Builder::new(TokioExecutor::new())
                .auto_date_header(false)
                .serve_connection(stream, service)
                .await?;
        }
    }
    Ok(())
}

async fn answer(
    stub: Arc<Stub>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(stub.body.clone()));
    // A request cut short is none: it is answered as an error, so that the clients see it.
    let body = request.into_body().collect().await;
    if body.is_ok_and(|body| !body.to_bytes().is_empty()) {
        stub.posts.fetch_add(1, Relaxed);
    } else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/kerberos"),
    );
    Ok(response)
}

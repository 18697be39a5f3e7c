//! A KDC that answers every request with the same reply, over UDP and TCP, and keeps TCP connections open.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use clap::Args;
use loopkdc::wire::{Deframer, Framed, KerberosMessage, MAX_REQUEST, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Outcome, read};

#[derive(Args)]
pub(crate) struct Options {
    /// Where to listen, over UDP and TCP
    #[arg(long)]
    listen: SocketAddr,
    /// The reply
    #[arg(long)]
    reply: PathBuf,
}

struct Kdc {
    reply: Framed,
    asked: AtomicU64,
    connections: AtomicU64,
}

/// Serves until SIGTERM, then says how often it was asked.
pub(crate) async fn run(options: &Options) -> Outcome<()> {
    let kdc = Arc::new(Kdc {
        reply: Framed::wrap(&read(&options.reply)?),
        asked: AtomicU64::new(0),
        connections: AtomicU64::new(0),
    });
    let datagrams = UdpSocket::bind(options.listen).await?;
    let streams = TcpListener::bind(options.listen).await?;
    let mut end = signal(SignalKind::terminate())?;
    println!("ready");
    tokio::select! {
        ended = udp(&kdc, &datagrams) => ended?,
        ended = tcp(&kdc, &streams) => ended?,
        _ = end.recv() => {}
    }
    println!(
        "asked={} connections={}",
        kdc.asked.load(Relaxed),
        kdc.connections.load(Relaxed)
    );
    Ok(())
}

impl Kdc {
    /// The reply, if this is a request: what is cut short or run together gets none, and the clients count that.
    fn answer(&self, request: Bytes) -> Option<&Framed> {
        KerberosMessage::parse(Service::Kdc, request).ok()?;
        self.asked.fetch_add(1, Relaxed);
        Some(&self.reply)
    }
}

async fn udp(kdc: &Kdc, socket: &UdpSocket) -> Outcome<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(reply) = kdc.answer(Bytes::copy_from_slice(request)) {
            socket.send_to(reply.message(), from).await?;
        }
    }
}

async fn tcp(kdc: &Arc<Kdc>, listener: &TcpListener) -> Outcome<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        kdc.connections.fetch_add(1, Relaxed);
        tokio::spawn(connection(Arc::clone(kdc), stream));
    }
}

async fn connection(kdc: Arc<Kdc>, mut stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut requests = Deframer::new(MAX_REQUEST);
    while stream.read_buf(&mut requests.buffer()).await? > 0 {
        while let Some(request) = requests.next().map_err(|_| "too long")? {
            let reply = kdc.answer(request).ok_or("not a request")?;
            stream.write_all(reply.as_bytes()).await?;
        }
    }
    Ok(())
}

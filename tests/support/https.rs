//! HTTP/1.1 by hand, over TLS or without: one request, and all that comes until the connection ends.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::process::PATIENCE;

/// What came back.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Where HTTPS is asked, and as whom.
pub(crate) struct Site<'a> {
    /// `host:port`.
    pub(crate) address: String,
    /// The name that the certificate must have.
    pub(crate) name: &'static str,
    /// Who must have signed it, in PEM.
    pub(crate) ca_file: &'a Path,
    /// A certificate of one's own and its key, in PEM.
    pub(crate) identity: Option<(&'a Path, &'a Path)>,
}

impl Site<'_> {
    /// Asks over a connection of its own; `head` is the request line and header lines of one's own.
    pub(crate) fn ask(&self, head: &str, body: &[u8]) -> io::Result<Response> {
        let mut tls = self.connect()?;
        ask(&mut tls, head, body)
    }

    /// The certificate that a new connection meets, in DER.
    pub(crate) fn certificate(&self) -> io::Result<Vec<u8>> {
        let mut tls = self.connect()?;
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        let chain = tls.conn.peer_certificates().unwrap();
        Ok(chain[0].to_vec())
    }

    pub(crate) fn connect(&self) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(self.ca_file).unwrap() {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.identity {
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(&fs::read(certificate).unwrap())
                    .map(Result::unwrap)
                    .collect();
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(self.name).unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        Ok(StreamOwned::new(session, plain(&self.address)?))
    }
}

/// A connection that does not wait for ever.
pub(crate) fn plain(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request and its response; the connection ends with it.
pub(crate) fn ask(
    stream: &mut (impl Read + Write),
    head: &str,
    body: &[u8],
) -> io::Result<Response> {
    let length = body.len();
    let request = format!("{head}Host: g\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(&[request.as_bytes(), body].concat())?;
    stream.flush()?;
    let mut octets = Vec::new();
    match stream.read_to_end(&mut octets) {
        Err(error) if octets.is_empty() => return Err(error),
        _ => {}
    }
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Response {
        status,
        head,
        body: octets[end + 4..].to_vec(),
    })
}

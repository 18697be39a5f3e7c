//! What stands between this machine and a KDC proxy: as the daemon finds it, by the same library.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Url;

use super::names::Place;
use crate::relay::upstream::out::Via;

/// A proxy on the way.
pub(super) struct Forward {
    intercept: Intercept,
    target: Uri,
    /// Where it is.
    pub(super) place: Place,
    /// Its scheme, host and port: neither user nor password.
    pub(super) name: String,
}

impl Forward {
    /// What stands on the way to `url`. Nothing if nothing does.
    pub(super) fn of(via: &Via, url: &Url) -> Option<Self> {
        let matcher = match via {
            Via::Nothing => return None,
            Via::Environment => Matcher::from_env(),
            Via::Proxy(proxy) => Matcher::builder().all(proxy.url().as_str()).build(),
        };
        let target: Uri = url.as_str().parse().ok()?;
        let intercept = matcher.intercept(&target)?;
        let uri = intercept.uri();
        let scheme = uri.scheme_str().unwrap_or("http");
        let host = uri.host()?;
        let port = uri.port_u16().unwrap_or(match scheme {
            "http" => 80,
            "https" => 443,
            _ => 1080,
        });
        Some(Self {
            name: format!("{scheme}://{host}:{port}"),
            place: Place {
                host: host.trim_matches(['[', ']']).to_owned(),
                port,
                key: "http-proxy",
            },
            intercept,
            target,
        })
    }

    /// Has it go on, over a connection to it, to what is wanted. Nothing if it is none that is spoken here.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn through(&self, stream: TcpStream) -> Option<io::Result<TcpStream>> {
        let uri = self.intercept.uri().clone();
        let dialed = Dialed(Some(stream));
        let passed = match uri.scheme_str() {
            Some("http") | None => {
                let tunnel = Tunnel::new(uri, dialed);
                let mut tunnel = match self.intercept.basic_auth() {
                    Some(auth) => tunnel.with_auth(auth.clone()),
                    None => tunnel,
                };
                let passed = tunnel.call(self.with_port()).await;
                passed.map_err(|error| io::Error::other(error.to_string()))
            }
            Some(scheme @ ("socks5" | "socks5h")) => {
                let socks = SocksV5::new(uri.clone(), dialed).local_dns(scheme == "socks5");
                let mut socks = match self.intercept.raw_auth() {
                    Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
                    None => socks,
                };
                let passed = socks.call(self.with_port()).await;
                passed.map_err(|error| io::Error::other(error.to_string()))
            }
            Some(_) => return None,
        };
        Some(passed.map(TokioIo::into_inner))
    }

    /// The target with its port, which these protocols want said.
    fn with_port(&self) -> Uri {
        let usual = match self.target.scheme_str() {
            Some("http") => 80,
            _ => 443,
        };
        let (host, port) = (self.target.host(), self.target.port_u16());
        let text = format!("{}:{}", host.unwrap_or_default(), port.unwrap_or(usual));
        let uri = format!("https://{text}/").parse();
        uri.unwrap_or_else(|_| self.target.clone())
    }
}

/// Gives the connection that was made already.
struct Dialed(Option<TcpStream>);

impl Service<Uri> for Dialed {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.take();
        ready(
            stream
                .map(TokioIo::new)
                .ok_or_else(|| io::ErrorKind::NotConnected.into()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::upstream::out::ForwardProxy;

    #[test]
    fn a_password_is_not_in_its_name() {
        let proxy = "http://user:secret@proxy.example:3128".parse().unwrap();
        let via = Via::Proxy(ForwardProxy::new(proxy).unwrap());
        let url = "https://kdcproxy.example.com/KdcProxy".parse().unwrap();
        let forward = Forward::of(&via, &url).unwrap();
        assert_eq!(forward.name, "http://proxy.example:3128");
        assert_eq!(
            (forward.place.host.as_str(), forward.place.port),
            ("proxy.example", 3128)
        );
        assert!(Forward::of(&Via::Nothing, &url).is_none());
    }

    #[test]
    fn what_it_is_asked_for_has_a_port() {
        let via = Via::Proxy(ForwardProxy::new("socks5h://[::1]".parse().unwrap()).unwrap());
        for (url, target) in [
            (
                "https://kdcproxy.example.com/KdcProxy",
                "https://kdcproxy.example.com:443/",
            ),
            ("https://[::2]:8443/", "https://[::2]:8443/"),
        ] {
            let forward = Forward::of(&via, &url.parse().unwrap()).unwrap();
            assert_eq!(forward.with_port().to_string(), target);
            assert_eq!(forward.name, "socks5h://[::1]:1080");
        }
    }
}

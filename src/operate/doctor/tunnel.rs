//! The HTTP or SOCKS proxy between this machine and a KDC proxy: as the daemon finds it, by the same library.

use std::io;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;
use url::Url;

use super::connection::HostPort;
use crate::relay::upstream::proxy_options::ForwardProxy;

/// A proxy on the way.
pub(super) struct TunnelProxy {
    intercept: Intercept,
    /// What it is to connect to, with its port, which these protocols want said.
    target: Uri,
    /// Where it is.
    pub(super) place: HostPort,
    /// Its scheme, host and port: neither user nor password.
    pub(super) name: String,
}

impl TunnelProxy {
    /// What stands on the way to `url`. Nothing if nothing does.
    pub(super) fn find(via: &ForwardProxy, url: &Url) -> Option<Self> {
        let matcher = match via {
            ForwardProxy::None => return None,
            ForwardProxy::Environment => Matcher::from_env(),
            ForwardProxy::Url(proxy) => Matcher::builder().all(proxy.url().as_str()).build(),
        };
        let intercept = matcher.intercept(&url.as_str().parse().ok()?)?;
        let uri = intercept.uri();
        let scheme = uri.scheme_str().unwrap_or("http");
        let port = uri.port_u16().unwrap_or(match scheme {
            "http" => 80,
            "https" => 443,
            _ => 1080,
        });
        let name = format!("{}:{port}", uri.host()?);
        let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        Some(Self {
            name: format!("{scheme}://{name}"),
            place: HostPort {
                name,
                key: "http-proxy",
            },
            target: format!("https://{target}/").parse().ok()?,
            intercept,
        })
    }

    /// A connection by way of it to what is wanted. Nothing if its protocol is none that is spoken here.
    ///
    /// # Errors
    /// It does not let it through.
    pub(super) async fn connect(&self) -> Option<io::Result<TcpStream>> {
        let mut connector = HttpConnector::new();
        // SOCKS has a scheme of its own.
        connector.enforce_http(false);
        let (proxy, target) = (self.name.parse::<Uri>().ok()?, self.target.clone());
        let connected = match proxy.scheme_str() {
            Some("http") => {
                let mut tunnel = Tunnel::new(proxy, connector);
                if let Some(auth) = self.intercept.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(target).await.map_err(io::Error::other)
            }
            Some("socks5" | "socks5h") => {
                let is_local = proxy.scheme_str() == Some("socks5");
                let mut socks = SocksV5::new(proxy, connector).local_dns(is_local);
                if let Some((user, password)) = self.intercept.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                socks.call(target).await.map_err(io::Error::other)
            }
            _ => return None,
        };
        Some(connected.map(TokioIo::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::upstream::proxy_options::ForwardProxyUrl;

    #[test]
    fn a_password_is_not_in_its_name() {
        let proxy = "http://user:secret@proxy.example:3128".parse().unwrap();
        let via = ForwardProxy::Url(ForwardProxyUrl::new(proxy).unwrap());
        let url = "https://kdcproxy.example.com/KdcProxy".parse().unwrap();
        let tunnel = TunnelProxy::find(&via, &url).unwrap();
        assert_eq!(tunnel.name, "http://proxy.example:3128");
        assert_eq!(tunnel.place.name, "proxy.example:3128");
        assert!(TunnelProxy::find(&ForwardProxy::None, &url).is_none());
    }

    #[test]
    fn what_it_is_asked_for_has_a_port() {
        let via =
            ForwardProxy::Url(ForwardProxyUrl::new("socks5h://[::1]".parse().unwrap()).unwrap());
        for (url, target) in [
            (
                "https://kdcproxy.example.com/KdcProxy",
                "https://kdcproxy.example.com:443/",
            ),
            ("https://[::2]:8443/", "https://[::2]:8443/"),
        ] {
            let tunnel = TunnelProxy::find(&via, &url.parse().unwrap()).unwrap();
            assert_eq!(tunnel.target.to_string(), target);
            assert_eq!(tunnel.name, "socks5h://[::1]:1080");
        }
    }
}

//! The way out over HTTPS: a KDC proxy ([MS-KKDCP] 3.1).

mod proxy_url;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, SERVER};
use reqwest::{Body, Response, StatusCode};
use rustls::client::ResolvesClientCert as _;
use tokio::time::timeout;
use url::Url;

use super::body::{FlaggedBody, SendState};
use super::fault::{Credential, Fault, NotReply, Unsent};
use super::kdc::Permitted;
use super::link::{ConnReuse, Lease, Links};
use super::names::Names;
use super::negotiate::{self, Conversation, Heard, Negotiator};
use super::proxy_options::{ForwardProxy, HeaderSource, ProxyOptions};
use super::refusal::{self, Server};
use super::tls::{ClientAuth, ClientTls};
use crate::wire::{KerberosMessage, MAX_REPLY, Reply, Service, kkdcp};

pub use super::refusal::Authorization;
pub use proxy_url::{ProxyUrl, UrlError};

/// How often a proxy may say something before it serves or refuses.
const MAX_ROUNDS: usize = 4;
/// What an envelope may add to the largest reply: tags, lengths, an echoed target-domain and hint.
const MAX_ENVELOPE: usize = MAX_REPLY + 1024;

/// A KDC proxy: its URL and the connections kept to it.
#[derive(Debug)]
pub struct KdcProxy {
    url: Url,
    name: String,
    links: Links,
    forward_proxy: ForwardProxy,
    headers: HeaderSource,
    negotiator: Option<Negotiator>,
    client_auth: Arc<ClientAuth>,
}

/// One POST to make.
#[derive(Clone, Debug)]
pub struct Post {
    /// The request inside. Its service decides what the reply must be.
    pub message: KerberosMessage,
    /// The encoded KDC-PROXY-MESSAGE.
    pub envelope: Bytes,
    /// Which kept connections it may go over.
    pub reuse: ConnReuse,
    /// Where to say that octets may have left.
    pub sent: SendState,
}

/// The head of an answer, for those who look into a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The version of HTTP, as text.
    pub version: String,
    /// What the server calls itself, as it was sent.
    pub server: Option<String>,
    /// Where it leads away to, if it does: scheme, host and port.
    pub leads_to: Option<String>,
}

/// What came of a turn of a conversation.
enum Turn {
    /// It is our turn again.
    Said,
    /// That was the last one.
    Answered(Response),
}

/// What a request shows, from files and from the GSSAPI library, comes within this time or not at all: longer than a token may
/// take.
const PREPARED: Duration = Duration::from_secs(6);

impl KdcProxy {
    /// A proxy at `url`, spoken to with `tls` as `options` says; nothing is connected yet. `permitted` says which addresses its
    /// name may lead to.
    #[must_use]
    pub fn new(url: Url, tls: ClientTls, options: &ProxyOptions, permitted: Permitted) -> Self {
        let host = url.host_str().unwrap_or_default();
        let names = Names::to(host, permitted);
        let negotiator = options.negotiate.as_ref();
        Self {
            negotiator: negotiator.map(|whose| Negotiator::new(whose, host)),
            name: url.origin().ascii_serialization(),
            url,
            links: Links::new(tls.config, options.forward_proxy.clone(), names),
            forward_proxy: options.forward_proxy.clone(),
            headers: HeaderSource::new(&options.headers),
            client_auth: tls.client_auth,
        }
    }

    /// The proxy's scheme, host and port, for the log: the path of some proxies is a secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Forgets the connections: the network is another one. Requests under way go on.
    pub fn forget(&self) {
        self.links.forget();
    }

    /// Sends one request, exactly once, and reads its reply.
    ///
    /// Name, connect and TLS are bounded in time here; the rest is the caller's, who drops the future when time is up.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(&self, post: Post) -> Result<Reply, Fault> {
        self.exchange(post, |_| ()).await
    }

    /// Does what [`KdcProxy::send`] does, and tells `seen` the head of each answer as it comes.
    ///
    /// # Errors
    /// Those of [`KdcProxy::send`].
    pub(crate) async fn probe(
        &self,
        post: Post,
        mut seen: impl FnMut(Head) + Send,
    ) -> Result<Reply, Fault> {
        self.exchange(post, |response| seen(Head::of(response)))
            .await
    }

    async fn exchange(
        &self,
        post: Post,
        mut seen: impl FnMut(&Response) + Send,
    ) -> Result<Reply, Fault> {
        let ready = timeout(PREPARED, self.prepare(&post.message)).await;
        let late = || Unsent::NoCredential("it did not come in time".into());
        let (mut conversation, mut shown) = ready
            .unwrap_or_else(|_| Err(late()))
            .map_err(Fault::NotSent)?;
        let lease = self.links.lease(post.reuse, Instant::now())?;
        if lease.is_kept() {
            post.sent.set_kept_connection();
        }
        for _ in 0..MAX_ROUNDS {
            if let Some(conversation) = &conversation {
                shown.insert(AUTHORIZATION, conversation.token());
            }
            let response = self.post(&post, shown.clone(), &lease).await?;
            seen(&response);
            let Some(conversation) = &mut conversation else {
                return self
                    .receive(response, lease, &post, Authorization::of(&shown))
                    .await;
            };
            match self.converse(response, conversation).await? {
                Turn::Said => {}
                Turn::Answered(response) => {
                    return self
                        .receive(response, lease, &post, Authorization::Ticket)
                        .await;
                }
            }
        }
        Err(Fault::AuthenticationRequired(Credential::OtherTicket))
    }

    /// Gets what a request shows: the first token, if tokens are wanted, and headers, which may be in files.
    async fn prepare(
        &self,
        message: &KerberosMessage,
    ) -> Result<(Option<Conversation>, HeaderMap), Unsent> {
        let conversation = self.begin(message).await?;
        let shown = self.headers.headers().await;
        Ok((
            conversation,
            shown.map_err(|why| Unsent::NoCredential(why.into()))?,
        ))
    }

    /// Gets the first token, if tokens are wanted.
    async fn begin(&self, message: &KerberosMessage) -> Result<Option<Conversation>, Unsent> {
        match &self.negotiator {
            Some(negotiator) if negotiator.is_looping(message) => Err(Unsent::TicketLoop),
            Some(negotiator) => negotiator.begin().await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes one POST.
    async fn post(
        &self,
        post: &Post,
        shown: HeaderMap,
        lease: &Lease<'_>,
    ) -> Result<Response, Fault> {
        let request = lease
            .client()
            .post(self.url.clone())
            .headers(shown)
            .header(CONTENT_TYPE, "application/kerberos")
            .body(Body::wrap(FlaggedBody::new(
                post.envelope.clone(),
                post.sent.clone(),
            )));
        let response = request.send().await;
        response.map_err(|error| self.unheard(&error, &post.sent, lease))
    }

    /// Hears the token in the answer, if there is one: before the last the proxy has asked nobody else, so that the request
    /// is sent again with the next (RFC 4559 4.1), over the connection that the conversation is about.
    async fn converse(
        &self,
        response: Response,
        conversation: &mut Conversation,
    ) -> Result<Turn, Fault> {
        let is_refused = response.status() == StatusCode::UNAUTHORIZED;
        let token = negotiate::token_in(response.headers()).map(str::to_owned);
        let is_answer = response.status() == StatusCode::OK;
        let token = match token {
            Some(token) if is_refused || is_answer => token,
            _ => return Ok(Turn::Answered(response)),
        };
        let heard = conversation.hear(&token).await;
        if let Err(why) = &heard {
            tracing::debug!(upstream = self.name, %why, "its token is not understood");
        }
        match (heard, is_refused) {
            // To its end, so that the connection is there for the next.
            (Ok(Heard::WantsMore), true) => match read(response).await {
                Ok(_) => Ok(Turn::Said),
                Err(_) => Err(Fault::AuthenticationRequired(Credential::OtherTicket)),
            },
            (_, true) => Err(Fault::AuthenticationRequired(Credential::OtherTicket)),
            (Ok(Heard::Proven), false) => Ok(Turn::Answered(response)),
            (Ok(Heard::WantsMore) | Err(_), false) => Err(Fault::NotKerberos(NotReply::Unproven)),
        }
    }

    /// Reads the answer, and gives the connection back. One that brought no Kerberos is a
    /// captive portal's, perhaps, and what goes over it still would be when others have long passed it: it ends here.
    async fn receive(
        &self,
        response: Response,
        mut lease: Lease<'_>,
        post: &Post,
        authorization: Authorization,
    ) -> Result<Reply, Fault> {
        lease.heard(response.version(), keep_alive(response.headers()));
        if let Some(address) = response.remote_addr() {
            lease.reached(address.ip());
        }
        let judged = self
            .judge(response, post.message.service(), authorization)
            .await;
        match &judged {
            Ok(_) => {
                lease.give_back();
                self.client_auth.set_served();
            }
            Err(Fault::NotKerberos(_) | Fault::Unanswered) => {}
            Err(_) => lease.leave_unread(),
        }
        judged
    }

    /// What an answer to a request of `service` amounts to: its status, its head, and its body, which is capped before it is
    /// buffered.
    ///
    /// # Errors
    /// What it is instead of a reply.
    pub async fn judge(
        &self,
        response: Response,
        service: Service,
        authorization: Authorization,
    ) -> Result<Reply, Fault> {
        self.refused(response.status(), response.headers(), authorization)?;
        let is_page = refusal::is_page(response.headers());
        let body = read(response).await?;
        decode(service, &body, is_page)
    }

    /// What a status other than 200 says.
    fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        authorization: Authorization,
    ) -> Result<(), Fault> {
        let server = Server {
            client_auth: &self.client_auth,
            authorization,
        };
        match status.as_u16() {
            200 => Ok(()),
            // RFC 6585 6: Network Authentication Required.
            511 => Err(Fault::NotKerberos(NotReply::LoginRequired)),
            300..=399 => Err(Fault::NotKerberos(NotReply::Redirect)),
            status @ 400..=599 => Err(refusal::of_status(status, headers, &server)),
            _ => Err(Fault::NotKerberos(NotReply::OddStatus)),
        }
    }

    /// What an error before the answer's head says of the request.
    ///
    /// It is called back first: what is said not to have left never will.
    fn unheard(&self, error: &reqwest::Error, sent: &SendState, lease: &Lease<'_>) -> Fault {
        let is_withdrawn = sent.withdraw();
        if lease.was_reused() {
            lease.found_closed();
            return match is_withdrawn {
                true => Fault::NotSent(Unsent::Ended),
                false => Fault::ReusedConnectionClosed,
            };
        }
        if let Some(credential) = refusal::wants_certificate(error, &self.client_auth, is_withdrawn)
        {
            return Fault::AuthenticationRequired(credential);
        }
        if is_withdrawn && error.is_connect() {
            lease.found_nobody();
        }
        if is_withdrawn {
            return Fault::NotSent(refusal::unsent(error, &self.forward_proxy));
        }
        if self.client_auth.may_be_missing() && !self.client_auth.has_certs() {
            return Fault::ClosedAfterCertificateRequest;
        }
        Fault::Unanswered
    }
}

impl Head {
    fn of(response: &Response) -> Self {
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let location = text(LOCATION).and_then(|location| response.url().join(&location).ok());
        Self {
            status: response.status().as_u16(),
            version: format!("{:?}", response.version()),
            server: text(SERVER),
            // What follows may be a secret.
            leads_to: location.map(|url| url.origin().ascii_serialization()),
        }
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let declared = response.content_length().unwrap_or(0);
    if usize::try_from(declared).map_or(true, |declared| declared > MAX_ENVELOPE) {
        return Err(Fault::NotKerberos(NotReply::Oversized));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Fault::Unanswered)? {
        if body.len() + chunk.len() > MAX_ENVELOPE {
            return Err(Fault::NotKerberos(NotReply::Oversized));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn decode(service: Service, body: &[u8], is_page: bool) -> Result<Reply, Fault> {
    let message = kkdcp::decode(body).map_err(|_| match (body, is_page) {
        ([], _) => Fault::NotKerberos(NotReply::Empty),
        (_, true) => Fault::NotKerberos(NotReply::WebPage),
        _ => Fault::NotKerberos(NotReply::NoEnvelope),
    })?;
    Reply::parse(service, message.message().0)
        .map_err(|_| Fault::NotKerberos(NotReply::NoReplyInside))
}

/// The timeout that an HTTP/1.1 server advertises for idle connections, in seconds (RFC 2068 19.7.1.1, still in use).
fn keep_alive(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let timeout = |parameter: &str| {
        parameter
            .trim()
            .strip_prefix("timeout=")?
            .trim()
            .parse()
            .ok()
    };
    value.split(',').find_map(timeout)
}

#[cfg(test)]
mod tests;

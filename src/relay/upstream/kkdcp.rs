//! The way out over HTTPS: a KDC proxy ([MS-KKDCP] 3.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, SERVER};
use reqwest::{Body, RequestBuilder, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout, timeout_at};
use url::Url;

use super::addresses::{Addresses, Names};
use super::conn_pool::{self, ConnPool, ConnReuse, PooledConn};
use super::fault::{Credential, Fault, NotReply, Unsent};
use super::kdc::Permitted;
use super::negotiate::{self, Conversation, Negotiator};
use super::places::{Place, Places};
use super::proxy_options::{HeaderSource, ProxyOptions};
use super::refusal;
use super::send_state::{FlaggedBody, SendState};
use super::tls::{ClientAuth, ClientTls};
use super::user_shares::UserShares;
use super::{LONG_REPLIES, Outgoing, SHORT_REPLY};
use crate::wire::krb_error::KDC_ERR_SVC_UNAVAILABLE;
use crate::wire::{KerberosMessage, MAX_REPLY, Reply, Resend, Service, kkdcp};

pub use super::refusal::Authorization;

/// How long a request waits for a place under way, where another upstream would serve it.
const PLACE_TIMEOUT: Duration = Duration::from_secs(1);
/// What would have a place later, would have no answer by its deadline.
const PLACE_MARGIN: Duration = Duration::from_millis(100);
/// How often a proxy may say something before it serves or refuses.
const MAX_ROUNDS: usize = 4;
/// What an envelope may add to the largest reply: tags, lengths, an echoed target-domain and hint.
const MAX_ENVELOPE: usize = MAX_REPLY + 1024;
/// How long the body of a refusal is waited for, which may have a reply in it all the same.
const REFUSAL: Duration = Duration::from_secs(1);
/// What a request shows, from files and from the GSSAPI library, comes within this time or not at all: longer than a token may
/// take.
const PREPARED: Duration = Duration::from_secs(6);

/// A KDC proxy: its URL and the connections kept to it.
#[derive(Debug)]
pub struct KdcProxy {
    url: Url,
    name: String,
    conns: ConnPool,
    headers: HeaderSource,
    negotiator: Option<Arc<Negotiator>>,
    client_auth: Arc<ClientAuth>,
    user_shares: UserShares,
    places: Places,
    long_replies: Semaphore,
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
    /// It leads to the same path with a slash at its end.
    pub slash_is_missing: bool,
}

impl KdcProxy {
    /// A proxy at `url`, spoken to with `tls` as `options` says; nothing is connected yet. `permitted` says which addresses its
    /// name may lead to.
    pub fn new(url: Url, tls: ClientTls, options: &ProxyOptions, permitted: Permitted) -> Self {
        let host = url.host_str().unwrap_or_default();
        let names = Names::to(host, permitted);
        let negotiate = options.negotiate.as_ref();
        Self {
            negotiator: negotiate.map(|whose| Arc::new(Negotiator::new(whose, host))),
            name: url.origin().ascii_serialization(),
            url,
            conns: ConnPool::new(
                tls.config,
                options.forward_proxy.clone(),
                names,
                negotiate.is_some(),
            ),
            headers: HeaderSource::new(&options.headers),
            client_auth: tls.client_auth,
            user_shares: UserShares::default(),
            places: Places::default(),
            long_replies: Semaphore::new(LONG_REPLIES),
        }
    }

    /// The proxy's scheme, host and port, for the log: the path of some proxies is a secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The proxy has closed a kept connection, and did not say so.
    pub fn has_closed_unsaid(&self) -> bool {
        self.conns.has_closed_unsaid()
    }

    pub(super) fn user_shares(&self) -> &UserShares {
        &self.user_shares
    }

    /// Forgets the connections: the network is another one. Requests under way go on.
    pub fn forget(&self) {
        self.conns.forget();
    }

    /// Sends one request, exactly once, and reads its reply; or again, when the proxy has handed it back unread, or one that there is
    /// no other beside has said that it has too much to do. `seen` is told the head of each answer as it comes.
    ///
    /// Name, connect and TLS are bounded in time here; the rest is the caller's, who drops the future when time is up.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(
        &self,
        outgoing: Outgoing,
        mut seen: impl FnMut(&Response) + Send,
    ) -> Result<Reply, Fault> {
        let mut place = self.place(&outgoing).await?;
        let mut least_wait = Duration::ZERO;
        loop {
            let mut wait = None;
            let reply = place
                .hold_for(self.send_once(&outgoing, &mut seen, &mut wait))
                .await;
            let (Err(fault), Some(wait)) = (&reply, wait) else {
                return reply;
            };
            place.was_refused(Instant::now());
            let wait = least_wait.max(wait);
            if outgoing.others || !outgoing.has_time_for(wait) {
                return reply;
            }
            // Nobody was asked for it.
            outgoing.sent.set_handed_back();
            sleep(wait).await;
            least_wait = (2 * wait).max(refusal::UNTOLD_WAIT);
            place = self.place(&outgoing).await.map_err(|_| fault.clone())?;
        }
    }

    /// A place among the requests under way; in time for an answer, or for another upstream.
    async fn place(&self, outgoing: &Outgoing) -> Result<Place<'_>, Fault> {
        let until = match outgoing.deadline {
            Some(deadline) if !outgoing.others => deadline - PLACE_MARGIN,
            _ => Instant::now() + PLACE_TIMEOUT,
        };
        let place = timeout_at(until.into(), self.places.take()).await;
        place.map_err(|_| Fault::NotSent(Unsent::Busy))
    }

    /// Sends it, once; or once more, handed back unread. `wait` is for how long the proxy will have none of it, if it says so.
    async fn send_once(
        &self,
        outgoing: &Outgoing,
        seen: &mut (impl FnMut(&Response) + Send),
        wait: &mut Option<Duration>,
    ) -> Result<Reply, Fault> {
        let Outgoing { message, sent, .. } = outgoing;
        let (mut conversation, mut headers) = self.prepare(message).await?;
        let authorization = Authorization::of(conversation.is_some(), &headers);
        let mut conn = self.conns.checkout(outgoing.reuse, Instant::now())?;
        if conn.is_kept() {
            sent.set_kept_connection();
        }
        let envelope = Bytes::from(outgoing.envelope());
        let mut may_repeat = true;
        for _ in 0..MAX_ROUNDS {
            if let Some(conversation) = &conversation {
                headers.insert(AUTHORIZATION, conversation.token());
            }
            let body = FlaggedBody::new(envelope.clone(), sent.clone());
            let response = match self.request(&conn, &headers, body).send().await {
                Ok(response) => response,
                Err(error) => match refusal::unread(&error, message.resend()) {
                    Some(why) if may_repeat => {
                        may_repeat = false;
                        conn = self.connect_anew(why, sent)?;
                        continue;
                    }
                    _ => return Err(self.classify_error(&error, outgoing, &conn)),
                },
            };
            // From now on a conversation is this connection's.
            may_repeat = false;
            seen(&response);
            *wait = refusal::retry_after(&response, message.resend());
            if let Some(response) = self.converse(response, conversation.as_mut()).await? {
                let service = message.service();
                return self.receive(response, conn, service, authorization).await;
            }
        }
        Err(Fault::wants(Credential::OtherTicket))
    }

    fn request(&self, conn: &PooledConn, headers: &HeaderMap, body: FlaggedBody) -> RequestBuilder {
        let request = conn.client().post(self.url.clone());
        request
            .headers(headers.clone())
            .header(CONTENT_TYPE, "application/kerberos")
            .body(Body::wrap(body))
    }

    /// A connection for a request that came back unread.
    fn connect_anew(&self, why: Reason, sent: &SendState) -> Result<PooledConn, Fault> {
        sent.set_handed_back();
        if why == Reason::HTTP_1_1_REQUIRED {
            self.conns.set_wants_http1();
        }
        self.conns.checkout(ConnReuse::Never, Instant::now())
    }

    /// Gets what a request shows: the first token, if tokens are wanted, and headers, which may be in files.
    async fn prepare(
        &self,
        message: &KerberosMessage,
    ) -> Result<(Option<Conversation>, HeaderMap), Fault> {
        let prepared = timeout(PREPARED, async {
            let conversation = match &self.negotiator {
                Some(negotiator) if negotiator.is_looping(message) => {
                    return Err(Unsent::TicketLoop);
                }
                Some(negotiator) => Some(negotiator.begin().await?),
                None => None,
            };
            let headers = self.headers.headers().await;
            let headers = headers.map_err(|why| Unsent::NoCredential(why.into()))?;
            Ok((conversation, headers))
        });
        let late = |_| Err(Unsent::NoCredential("it did not come in time".into()));
        prepared.await.unwrap_or_else(late).map_err(Fault::NotSent)
    }

    /// Takes the token in the answer, if there is one. Nothing if the proxy wants the next, or one that is bound to it: before the
    /// last it has asked nobody else, so that the request is sent again with it (RFC 4559 4.1), over the connection that the
    /// conversation is about.
    async fn converse(
        &self,
        response: Response,
        conversation: Option<&mut Conversation>,
    ) -> Result<Option<Response>, Fault> {
        let is_refused = response.status() == StatusCode::UNAUTHORIZED;
        let is_answer = response.status().is_success();
        let Some(conversation) = conversation else {
            return Ok(Some(response));
        };
        if conversation.is_unbound(&response) {
            // To its end, so that the connection is there for the next.
            drop(self.read_body(response).await);
            *conversation = conversation.anew().await.map_err(Fault::NotSent)?;
            return Ok(None);
        }
        let token = negotiate::token_in(response.headers()).filter(|_| is_refused | is_answer);
        let Some(token) = token else {
            return Ok(Some(response));
        };
        let is_over = conversation.go_on(token).await;
        if let Err(why) = &is_over {
            tracing::debug!(upstream = self.name, %why, "its token is not understood");
        }
        match is_over {
            Ok(true) if is_answer => Ok(Some(response)),
            _ if is_answer => Err(Fault::NotKerberos(NotReply::Unproven)),
            Ok(false) if self.read_body(response).await.is_ok() => Ok(None),
            _ => Err(Fault::wants(Credential::OtherTicket)),
        }
    }

    /// Reads the answer, and gives the connection back. One that brought no Kerberos is a
    /// captive portal's, perhaps, and what goes over it still would be when others have long passed it: it ends here.
    async fn receive(
        &self,
        response: Response,
        mut conn: PooledConn,
        service: Service,
        authorization: Authorization,
    ) -> Result<Reply, Fault> {
        conn.saw_response(
            response.version(),
            conn_pool::keep_alive(response.headers()),
        );
        if let Some(address) = response.remote_addr() {
            let names = &self.conns.names;
            names.each(|addresses| addresses.prefer(address.ip()));
        }
        let is_last = conn_pool::is_last(&response);
        let reply = self.read_reply(response, service, authorization).await;
        match &reply {
            Ok(_) => {
                conn.give_back(!is_last);
                self.client_auth.set_served();
            }
            Err(Fault::NotKerberos(_) | Fault::Unanswered) => {}
            Err(_) => conn.give_back(false),
        }
        reply
    }

    /// The reply to a request of `service`, by the answer's status, head and body. Where a Kerberos reply came, its status says
    /// nothing: some proxies send one with a KRB-ERROR that is not 200.
    ///
    /// # Errors
    /// What it is instead of a reply.
    pub async fn read_reply(
        &self,
        mut response: Response,
        service: Service,
        authorization: Authorization,
    ) -> Result<Reply, Fault> {
        let headers = std::mem::take(response.headers_mut());
        let is_page = refusal::is_page(&headers);
        match response.status().as_u16() {
            200..=299 => decode(service, &self.read_body(response).await?, is_page),
            // RFC 6585 6: Network Authentication Required.
            511 => Err(Fault::NotKerberos(NotReply::LoginRequired)),
            300..=399 if is_moved(&self.url, &headers) => Err(Fault::NotKerberos(NotReply::Moved)),
            300..=399 => Err(Fault::NotKerberos(NotReply::Redirect)),
            status @ 400..=599 => {
                let auth = &self.client_auth;
                let refused = refusal::of_status(status, &headers, auth, authorization);
                if is_page {
                    return Err(refused);
                }
                let body = timeout(REFUSAL, self.read_body(response)).await;
                match body.ok().and_then(Result::ok) {
                    // "Not served" says no more than the status does.
                    Some(body) => decode(service, &body, is_page)
                        .ok()
                        .filter(|reply| reply.error_code() != Some(KDC_ERR_SVC_UNAVAILABLE))
                        .ok_or_else(|| refusal::in_own_words(refused, &headers, &body)),
                    // What a KDC has said of it was on its way.
                    None if refusal::is_kerberos(&headers) => Err(Fault::Unanswered),
                    None => Err(refused),
                }
            }
            _ => Err(Fault::NotKerberos(NotReply::OddStatus)),
        }
    }

    /// The body, which is capped before it is buffered. One that ends with its connection, without a word, is there whole if the
    /// message in it is.
    async fn read_body(&self, mut response: Response) -> Result<Bytes, Fault> {
        let oversized = Fault::NotKerberos(NotReply::Oversized);
        if response.content_length() > Some(MAX_ENVELOPE as u64) {
            return Err(oversized);
        }
        let (mut octets, mut turn) = (BytesMut::new(), None);
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(_) if kkdcp::message_in_answer(&octets).is_some() => break,
                Err(_) => return Err(Fault::Unanswered),
            };
            let length = octets.len() + chunk.len();
            if length > MAX_ENVELOPE {
                return Err(oversized);
            }
            if length > SHORT_REPLY && turn.is_none() {
                turn = self.long_replies.acquire().await.ok();
            }
            octets.extend_from_slice(&chunk);
        }
        // As long as it is, not as what it grew to: it may be kept.
        Ok(Bytes::copy_from_slice(&octets))
    }

    /// What an error before the answer's head says of the request.
    ///
    /// It is called back first: what is said not to have left never will.
    fn classify_error(
        &self,
        error: &reqwest::Error,
        outgoing: &Outgoing,
        conn: &PooledConn,
    ) -> Fault {
        let is_withdrawn = outgoing.sent.withdraw();
        match refusal::unread(error, Resend::Harmless) {
            Some(Reason::REFUSED_STREAM) => return Fault::StreamRefused,
            Some(_) => return Fault::NotSent(Unsent::Unprocessed),
            None => {}
        }
        if conn.was_reused() {
            // Of what was silent it is not known that it was closed.
            let is_lost = !is_withdrawn && !error.is_timeout();
            let lost = outgoing.message.resend();
            conn.found_closed(if is_lost { lost } else { Resend::Harmless });
            return if is_withdrawn {
                Fault::NotSent(Unsent::Ended)
            } else {
                Fault::ReusedConnectionClosed
            };
        }
        if let Some(credential) = refusal::wants_certificate(error, &self.client_auth, is_withdrawn)
        {
            return Fault::wants(credential);
        }
        if is_withdrawn {
            if error.is_connect() {
                self.conns.names.each(Addresses::doubt);
            }
            return Fault::NotSent(refusal::unsent(error, &self.conns.forward_proxy));
        }
        if let Some(credential) = self.client_auth.unmet() {
            return Fault::ClosedWanting(credential);
        }
        if error.is_timeout() {
            return Fault::Lifeless;
        }
        Fault::Unanswered
    }
}

impl Head {
    pub(crate) fn of(response: &Response) -> Self {
        let text = |name| {
            let value = response.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let location = location(response.url(), response.headers());
        let is_longer = |to: &Url| to.path() == format!("{}/", response.url().path());
        Self {
            status: response.status().as_u16(),
            version: format!("{:?}", response.version()),
            server: text(SERVER),
            slash_is_missing: location.as_ref().is_some_and(is_longer),
            // What follows may be a secret.
            leads_to: location.map(|url| url.origin().ascii_serialization()),
        }
    }
}

/// Where an answer leads to, if it does.
fn location(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = String::from_utf8_lossy(headers.get(LOCATION)?.as_bytes());
    url.join(&location).ok()
}

/// The host of this URL leads to another of its own paths, whatever it takes for its scheme and port where TLS ends before it.
fn is_moved(url: &Url, headers: &HeaderMap) -> bool {
    let location = location(url, headers);
    url.scheme() == "https" && location.is_some_and(|to| to.host() == url.host())
}

fn decode(service: Service, body: &[u8], is_page: bool) -> Result<Reply, Fault> {
    let reply = kkdcp::message_in_answer(body).ok_or(match (body, is_page) {
        ([], _) => Fault::NotKerberos(NotReply::Empty),
        (_, true) => Fault::NotKerberos(NotReply::WebPage),
        _ => Fault::NotKerberos(NotReply::NoEnvelope),
    })?;
    Reply::parse(service, Bytes::copy_from_slice(reply))
        .map_err(|_| Fault::NotKerberos(NotReply::NoReplyInside))
}

#[cfg(test)]
mod tests;

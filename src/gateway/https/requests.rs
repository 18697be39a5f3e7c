//! The requests of a connection, as hyper hands them over.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response, Version};

use super::request::Conversation;
use super::words;

/// The conversation as hyper asks it.
#[derive(Clone)]
pub(super) struct Requests(pub(super) Arc<Conversation>);

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let conversation = Arc::clone(&self.0);
        let begun = conversation.quiet.begin();
        conversation.stir();
        let body = request.body().size_hint().exact();
        if request.version() < Version::HTTP_2 {
            let Some(seen) = conversation.heads.begin(body) else {
                return Box::pin(async { Ok(words::unseen()) });
            };
            request.extensions_mut().insert(seen);
        }
        Box::pin(async move { Ok(conversation.respond(request, begun).await) })
    }
}

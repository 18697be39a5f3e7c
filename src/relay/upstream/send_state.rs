//! What is known of a request's octets, and the body that tells when it is first asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

const HELD: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;

/// What is known of a request's octets: they may have left, or surely have not. No HTTP error kind tells: what is sure is that a body
/// that was never polled never left.
#[derive(Clone, Debug, Default)]
pub struct SendState(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    octets: AtomicU8,
    over_kept: AtomicBool,
}

impl SendState {
    /// It was given to a connection that stood before, and that may have ended without a word.
    pub fn used_kept_connection(&self) -> bool {
        self.0.over_kept.load(Ordering::Acquire)
    }

    pub(super) fn set_kept_connection(&self) {
        self.0.over_kept.store(true, Ordering::Release);
    }

    /// The body was asked for: its octets may have left.
    pub fn may_have_left(&self) -> bool {
        self.0.octets.load(Ordering::Acquire) == SENT
    }

    /// Calls the request back. True: it has not left, and never will.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.0
            .octets
            .compare_exchange(HELD, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire)
            != Err(SENT)
    }

    /// The other side has handed it back unread: it has not left yet.
    pub(super) fn set_handed_back(&self) {
        let octets = &self.0.octets;
        let _ = octets.compare_exchange(SENT, HELD, Ordering::AcqRel, Ordering::Acquire);
        self.0.over_kept.store(false, Ordering::Release);
    }

    /// The octets leave now.
    ///
    /// # Errors
    /// The request was called back before.
    pub(super) fn mark_sent(&self) -> Result<(), &'static str> {
        match self
            .0
            .octets
            .compare_exchange(HELD, SENT, Ordering::AcqRel, Ordering::Acquire)
        {
            Err(WITHDRAWN) => Err("the request was called back"),
            _ => Ok(()),
        }
    }
}

/// The body: one chunk, and the flag that its first poll sets.
pub(super) struct FlaggedBody {
    octets: Option<Bytes>,
    sent: SendState,
}

impl FlaggedBody {
    pub(super) fn new(octets: Bytes, sent: SendState) -> Self {
        Self {
            octets: Some(octets),
            sent,
        }
    }
}

impl Body for FlaggedBody {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let left = self.sent.mark_sent();
        let octets = self.octets.take();
        Poll::Ready(octets.map(|octets| left.map(|()| Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.octets.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.octets.as_ref().map_or(0, |octets| octets.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(body: &mut FlaggedBody) -> Option<Result<Bytes, &'static str>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => unreachable!(),
        }
    }

    fn body() -> (FlaggedBody, SendState) {
        let sent = SendState::default();
        (
            FlaggedBody::new(Bytes::from_static(b"octets"), sent.clone()),
            sent,
        )
    }

    #[test]
    fn a_body_that_was_asked_for_may_have_left_and_cannot_be_called_back() {
        let (mut body, sent) = body();
        assert!(!sent.may_have_left());
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(poll(&mut body).unwrap().unwrap(), "octets");
        assert!(sent.may_have_left());
        assert!(!sent.withdraw());
        assert!(body.is_end_stream());
        assert!(poll(&mut body).is_none());
    }

    #[test]
    fn what_was_handed_back_has_not_left_and_can_be_called_back() {
        let (mut body, sent) = body();
        sent.set_kept_connection();
        assert!(poll(&mut body).unwrap().is_ok());
        sent.set_handed_back();
        assert!(!sent.may_have_left() && !sent.used_kept_connection());
        assert!(sent.withdraw());
        sent.set_handed_back();
        assert!(sent.mark_sent().is_err(), "called back is called back");
    }

    #[test]
    fn a_body_that_was_called_back_never_leaves() {
        let (mut body, sent) = body();
        assert!(sent.withdraw());
        assert!(poll(&mut body).unwrap().is_err());
        assert!(!sent.may_have_left());
        assert!(sent.withdraw(), "as often as one likes");
    }
}

//! An answer on its way out, until its client has taken it.
//!
//! A client of HTTP/2 that opens no window takes nothing, and may ask on. hyper and h2 hold what it was told for as long as
//! the connection lasts, and one octet of a window is enough to have the whole answer queued. So it is the octets that
//! know: they take their place, and count as untaken, until the last of those who hold them lets go, at the socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::quiet::{Given, Quiet};
use super::receiving::{Octets, Places, SHORT};
use super::request::Conversation;
use super::words::{self, Refusal};

/// Octets that a connection may leave untaken before it gets no other answer.
const UNTAKEN: usize = 1024 * 1024;

/// The octets of an answer.
struct Untaken {
    octets: Bytes,
    _place: Option<Octets>,
    _given: Given,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Untaken {
    fn place(octets: Bytes, places: &Places, quiet: &Quiet) -> Option<Self> {
        let length = octets.len();
        let (given, before) = quiet.give(length);
        let is_short = length <= SHORT;
        let place = match before {
            // Connections are bounded, and each holds as much for hyper's own buffers: whoever takes what it is told is
            // served even while others take nothing.
            0 if is_short => None,
            0..=UNTAKEN => Some(places.take(length, is_short)?),
            _ => return None,
        };
        Some(Self {
            octets,
            _place: place,
            _given: given,
        })
    }

    /// A refusal needs no place: it is a line, and there are no more of them than streams.
    fn without_place(octets: Bytes, quiet: &Quiet) -> Self {
        let (given, _) = quiet.give(octets.len());
        Self {
            octets,
            _place: None,
            _given: given,
        }
    }
}

impl Conversation {
    /// Counts an answer until it is taken; where there is no place for it, another one is given.
    pub(super) fn give(&self, response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        let (head, body) = response.into_parts();
        let octets = body.into_inner().unwrap_or_default();
        let (head, untaken) = if octets.is_empty() {
            return Response::from_parts(head, Full::default());
        } else if head.status != StatusCode::OK {
            (head, Untaken::without_place(octets, &self.quiet))
        } else if let Some(untaken) = Untaken::place(octets, &self.site.answers, &self.quiet) {
            (head, untaken)
        } else {
            self.site.exchange.counters().overloaded.add();
            let (head, body) = words::refusal(&Refusal::overloaded()).into_parts();
            let octets = body.into_inner().unwrap_or_default();
            (head, Untaken::without_place(octets, &self.quiet))
        };
        Response::from_parts(head, Full::new(Bytes::from_owner(untaken)))
    }
}

//! Where the requests of an HTTP/1 connection begin and end, and what hyper says nothing of in their heads.
//!
//! Whether a request says its length twice over: hyper drops Content-Length where Transfer-Encoding stands beside it, and goes
//! by the latter. Two servers that choose differently see two different requests (RFC 9112 6.1, 11.2), so that is refused;
//! but what was dropped shows in the octets only.
//!
//! And a line feed that no carriage return precedes. httparse takes it for the end of a line, as RFC 9112 2.2 lets a recipient do. A reverse proxy in front that
//! takes it for a part of a value sees one request where hyper would see two (RFC 9112 11.2), so it is refused here. In a
//! body it is an octet like any other: so the octets are followed here on their way to hyper, which gets none behind a head
//! before it has begun on that request, and may begin on none whose head was not seen here.

use std::sync::Mutex;

use crate::relay::sync::lock;

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";
/// What no part of a head may hold: hyper answers 400 to it, and ends the connection (RFC 9110 5.5).
const REFUSED: u8 = 0;

/// How a line that says a length begins, in lower case, and the end of the line before it; httparse takes no space before
/// the colon.
const LENGTH: &[u8] = b"\ncontent-length:";

/// How far the requests of a connection have been handed over.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<Followed>);

#[derive(Debug, Default)]
struct Followed {
    place: Place,
    /// How much of [`LENGTH`] the last octets of a head are.
    matched: usize,
    says_length: bool,
}

/// A head that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether a Content-Length line stands in it.
    pub(super) says_length: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a head, whose last octets are so many of [`END`].
    Head(usize),
    /// At the end of a head, of which the request has not begun.
    Whole,
    /// In a body that has so many octets more.
    Body(u64),
    /// In the line that says how long a chunk is (RFC 9112 7.1): whether still in the number, and the number.
    Size(bool, u64),
    /// In a chunk that has so many octets more, the line's end behind it included.
    Chunk(u64),
    /// Behind the last chunk; as in a head.
    Trailer(usize),
    /// Behind what hyper refuses.
    Refused,
}

impl Default for Place {
    fn default() -> Self {
        Self::Head(0)
    }
}

impl Heads {
    /// Says that a head is next, whatever was handed over of it.
    pub(super) fn rewind(&self) {
        self.change(|followed| *followed = Followed::default());
    }

    /// Begins the request whose head was handed over, with a body of so many octets, or in chunks; nothing if none was.
    pub(super) fn begin(&self, body: Option<u64>) -> Option<Seen> {
        self.change(|followed| {
            let Followed {
                place, says_length, ..
            } = std::mem::take(followed);
            let seen = (place == Place::Whole).then_some(Seen { says_length });
            followed.place = match body {
                _ if seen.is_none() => Place::Refused,
                Some(0) => Place::default(),
                Some(octets) => Place::Body(octets),
                None => Place::Size(true, 0),
            };
            seen
        })
    }

    /// How many of `octets` may be handed over now: at least one. The last of them is another if it is refused.
    pub(super) fn pass(&self, octets: &mut [u8]) -> usize {
        self.change(|followed| {
            let mut passed = 0;
            while let Some(rest) = octets.get_mut(passed..).filter(|rest| !rest.is_empty()) {
                passed += followed.pass(rest);
                if matches!(followed.place, Place::Whole | Place::Refused) {
                    break;
                }
            }
            passed
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Followed) -> T) -> T {
        change(&mut lock(&self.0))
    }
}

impl Followed {
    fn pass(&mut self, octets: &mut [u8]) -> usize {
        if let (Place::Head(_), Some(octet)) = (self.place, octets.first()) {
            // The line feed stands at the start only, so nothing else can begin a match.
            self.matched = match LENGTH.get(self.matched) {
                Some(next) if *next == octet.to_ascii_lowercase() => self.matched + 1,
                _ => usize::from(*octet == b'\n'),
            };
            self.says_length |= self.matched == LENGTH.len();
        }
        self.place.pass(octets)
    }
}

impl Place {
    /// Goes on behind the first of `octets`, or more of them that are alike.
    fn pass(&mut self, octets: &mut [u8]) -> usize {
        let many = octets.len() as u64;
        let passed = match self {
            Self::Body(rest) | Self::Chunk(rest) => many.min(*rest),
            Self::Refused => many,
            _ => 1,
        };
        if let Some(octet) = octets.first_mut() {
            *self = self.after(passed, octet);
        }
        passed as usize
    }

    fn after(self, passed: u64, octet: &mut u8) -> Self {
        match self {
            // hyper skips empty lines before a request (RFC 9112 2.2), and so waits for more.
            Self::Whole => Self::Head(0).after(passed, octet),
            Self::Head(matched) => match follow(matched, *octet) {
                0 if *octet == b'\n' => {
                    *octet = REFUSED;
                    Self::Refused
                }
                matched if matched == END.len() => Self::Whole,
                matched => Self::Head(matched),
            },
            Self::Trailer(matched) => match follow(matched, *octet) {
                matched if matched == END.len() => Self::Head(0),
                matched => Self::Trailer(matched),
            },
            Self::Body(rest) if rest == passed => Self::Head(0),
            Self::Body(rest) => Self::Body(rest - passed),
            Self::Chunk(rest) if rest == passed => Self::Size(true, 0),
            Self::Chunk(rest) => Self::Chunk(rest - passed),
            Self::Size(_, 0) if *octet == b'\n' => Self::Trailer(2),
            Self::Size(_, size) if *octet == b'\n' => Self::Chunk(size.saturating_add(2)),
            Self::Size(in_number, size) => match char::from(*octet).to_digit(16) {
                Some(digit) if in_number => {
                    Self::Size(true, size.saturating_mul(16).saturating_add(digit.into()))
                }
                _ => Self::Size(false, size),
            },
            Self::Refused => Self::Refused,
        }
    }
}

/// How much of [`END`] the last octets are, with `octet` behind as much as `matched`.
fn follow(matched: usize, octet: u8) -> usize {
    if END.get(matched) == Some(&octet) {
        matched + 1
    } else {
        usize::from(octet == b'\r')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is handed over of `octets` that come in two pieces, where each request has the body that `bodies` says.
    fn passed(octets: &[u8], cut: usize, bodies: &[Option<u64>]) -> (Vec<u8>, usize) {
        let (heads, mut begun) = (Heads::default(), 0);
        let mut passed = Vec::new();
        let (first, second) = octets.split_at(cut);
        for piece in [first, second] {
            let mut rest = piece.to_vec();
            while !rest.is_empty() {
                let count = heads.pass(&mut rest);
                passed.extend(rest.drain(..count));
                let is_whole = heads.change(|followed| followed.place == Place::Whole);
                if is_whole && heads.begin(bodies[begun]).is_some() {
                    begun += 1;
                }
            }
        }
        (passed, begun)
    }

    #[test]
    fn a_bare_line_feed_is_refused_in_a_head_and_nowhere_else() {
        let head = "GET / HTTP/1.1\r\nX: y\r\n\r\n";
        let none = [Some(0), Some(0)];
        let cases: [(&str, &[Option<u64>]); 4] = [
            ("", &none),
            ("\n\r\n\n\n", &[Some(5), Some(0)]),
            (
                "a;x=1\r\n\n\r\n\r\n\n\n\n\n\n\r\n0\r\n\r\n",
                &[None, Some(0)],
            ),
            ("0\r\nX: y\r\n\r\n", &[None, Some(0)]),
        ];
        for (body, bodies) in cases {
            let good = [head, body, head].concat();
            let after = good.len() - head.len();
            for cut in 0..good.len() {
                let (all, begun) = passed(good.as_bytes(), cut, bodies);
                assert_eq!((&*all, begun), (good.as_bytes(), 2), "{good:?} {cut}");
                // And the same with a carriage return less in the second head.
                for at in good[after..].match_indices('\r') {
                    let mut bad = good.clone().into_bytes();
                    bad.remove(after + at.0);
                    let (all, begun) = passed(&bad, cut, bodies);
                    assert_eq!((all[after + at.0], begun), (REFUSED, 1), "{bad:?} {cut}");
                }
            }
        }
    }

    #[test]
    fn no_request_begins_whose_head_was_not_seen() {
        let heads = Heads::default();
        assert_eq!(heads.begin(Some(0)), None);
        heads.rewind();
        // Empty lines are no head.
        let mut octets = *b"\r\n\r\nGET";
        assert_eq!(heads.pass(&mut octets), 4);
        assert_eq!(heads.pass(&mut octets[4..]), 3);
        assert_eq!(heads.begin(Some(0)), None);
    }

    #[test]
    fn a_length_is_found_in_its_own_head_however_that_is_cut() {
        let lengths = [
            ("Content-Length: 3", true),
            ("X: y\r\ncontent-LENGTH:", true),
            ("X: content-length:", false),
            ("Content-Length :5", false),
            ("content-\r\ncontent-length:4", true),
        ];
        for (line, says_length) in lengths {
            let head = format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
            for cut in 0..head.len() {
                let heads = Heads::default();
                let mut octets = head.clone().into_bytes();
                let (first, second) = octets.split_at_mut(cut);
                let passed = [heads.pass(first), heads.pass(second)];
                assert_eq!(passed, [cut, head.len() - cut]);
                let seen = heads.begin(Some(16));
                assert_eq!(seen, Some(Seen { says_length }), "{head} {cut}");
                // In a body it is none.
                assert_eq!(heads.pass(&mut LENGTH.to_vec()), 16);
                heads.pass(&mut b"GET / HTTP/1.1\r\n\r\n".to_vec());
                let seen = heads.begin(None);
                assert_eq!(seen, Some(Seen { says_length: false }));
            }
        }
    }
}

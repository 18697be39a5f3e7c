//! Messages on a stream: four octets of length, then the message (RFC 4120 7.2.2).

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Octets of the length before each message.
pub(super) const LENGTH: usize = 4;

/// The top bit of the length, reserved for extensions (RFC 4120 7.2.2).
const RESERVED_BIT: usize = 1 << 31;

/// Room that a reader finds in the buffer: one read takes a usual request whole.
const READ_ROOM: usize = 2048;

/// A message behind its four-octet length: what a stream carries, and exactly a `kerb-message`
/// ([MS-KKDCP] 2.2.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Framed(Bytes);

impl Framed {
    /// Puts the length before `message`.
    ///
    /// Messages here are bounded far below 2^31 octets, where the length's reserved bit begins.
    pub fn wrap(message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut framed = BytesMut::with_capacity(LENGTH.saturating_add(message.len()));
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        Self(framed.freeze())
    }

    /// Length and message, for one write: some clients read once and take what they got.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The message without its length.
    pub fn message(&self) -> &[u8] {
        self.0.get(LENGTH..).unwrap_or_default()
    }
}

/// Cuts a stream into messages, however the stream's reads fall.
#[derive(Debug)]
pub struct Deframer {
    buffer: BytesMut,
    max: usize,
}

impl Deframer {
    /// A deframer for messages of at most `max` octets.
    pub fn new(max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max,
        }
    }

    /// Where the reader appends what it has read; it always has room for some.
    ///
    /// It grows with what has arrived, never with what a length promises. Read again only after
    /// [`Deframer::next`] has returned `None`: then it holds one message at most. What comes behind a long one stays where it
    /// is, but for as much as one read takes of usual ones.
    pub fn buffer(&mut self) -> Limit<&mut BytesMut> {
        let held = self.buffer.len();
        let length = self.buffer.first_chunk().copied().map(u32::from_be_bytes);
        let whole = length.map_or(0, |length| LENGTH.saturating_add(length as usize));
        if self.buffer.capacity() == held {
            // One that grows by itself doubles, also for the last octet.
            let mut larger = BytesMut::with_capacity(whole.min(2 * held).max(READ_ROOM));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        let lacks = whole.saturating_sub(held);
        (&mut self.buffer).limit(lacks.max(READ_ROOM))
    }

    /// The next whole message, or `None` while it is incomplete.
    ///
    /// A length of zero makes an empty message, which no parse accepts.
    ///
    /// # Errors
    /// The length is above the maximum or has the reserved top bit set (RFC 4120 7.2.2). There is no
    /// way on from there in the stream: every further call says the same.
    #[expect(
        clippy::should_implement_trait,
        reason = "None here means not yet, which is no iterator's end"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, FieldTooLong> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| FieldTooLong)?;
        if length > self.max.min(RESERVED_BIT - 1) {
            return Err(FieldTooLong);
        }
        // A copy, so that a message that is kept for replay doesn't hold the whole read buffer.
        let message = rest.get(..length).map(Bytes::copy_from_slice);
        if message.is_some() {
            self.buffer.advance(LENGTH.saturating_add(length));
            // A connection that stays open must not keep the room that its largest request took.
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
        }
        Ok(message)
    }

    /// Octets that are pending: the stream may end where there are none without cutting a message.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }
}

/// A length that no message may have: answered with KRB_ERR_FIELD_TOOLONG and the end of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FieldTooLong;

#[cfg(test)]
mod tests {
    use super::*;

    fn deframer(max: usize, arrived: &[u8]) -> Deframer {
        let mut deframer = Deframer::new(max);
        deframer.buffer().get_mut().extend_from_slice(arrived);
        deframer
    }

    #[test]
    fn a_length_stands_before_the_message() {
        let framed = Framed::wrap(b"abc");
        assert_eq!(&framed.as_bytes()[..], b"\0\0\0\x03abc");
        assert_eq!(framed.message(), b"abc");
    }

    #[test]
    fn several_messages_follow_each_other_and_the_last_may_be_incomplete() {
        let mut deframer = deframer(9, b"\0\0\0\x01a\0\0\0\0\0\0\0\x02bc\0\0\0\x02d");
        assert_eq!(deframer.next(), Ok(Some(Bytes::from_static(b"a"))));
        assert_eq!(deframer.next(), Ok(Some(Bytes::new())));
        assert_eq!(deframer.next(), Ok(Some(Bytes::from_static(b"bc"))));
        assert_eq!(deframer.next(), Ok(None));
        assert_ne!(deframer.held(), 0);
        deframer.buffer().get_mut().extend_from_slice(b"e");
        assert_eq!(deframer.next(), Ok(Some(Bytes::from_static(b"de"))));
        assert_eq!(deframer.next(), Ok(None));
        assert_eq!(deframer.held(), 0);
    }

    #[test]
    fn what_comes_behind_a_long_message_is_not_read_with_it() {
        let long = Framed::wrap(&[1; 100_000]);
        let stream = [&long.as_bytes()[..], &long.as_bytes()[..]].concat();
        let (mut deframer, mut stream) = (deframer(100_000, b""), &stream[..]);
        while deframer.next() == Ok(None) {
            let mut buffer = deframer.buffer();
            let read = buffer.remaining_mut().min(buffer.chunk_mut().len());
            let (now, later) = stream.split_at(read.min(stream.len()));
            buffer.put_slice(now);
            stream = later;
        }
        let held = deframer.buffer().get_ref().capacity();
        assert!(held <= READ_ROOM, "{held}");
    }

    #[test]
    fn a_length_above_the_maximum_or_with_the_reserved_bit_ends_the_stream() {
        assert_eq!(deframer(5, b"\0\0\0\x05").next(), Ok(None));
        for length in [&b"\0\0\0\x06"[..], b"\x80\0\0\x01", b"\xff\xff\xff\xff"] {
            let mut deframer = deframer(5, length);
            assert_eq!(deframer.next(), Err(FieldTooLong));
            deframer
                .buffer()
                .get_mut()
                .extend_from_slice(b"\0\0\0\x01a");
            assert_eq!(deframer.next(), Err(FieldTooLong));
        }
        // The reserved bit is refused even where the maximum would allow it.
        assert_eq!(
            deframer(usize::MAX, b"\x80\0\0\0").next(),
            Err(FieldTooLong)
        );
    }

    #[test]
    fn memory_grows_with_what_arrived_not_with_what_was_declared() {
        let mut deframer = deframer(1 << 30, b"\x3f\xff\xff\xff");
        assert_eq!(deframer.next(), Ok(None));
        assert!(deframer.buffer().get_ref().capacity() <= 3 * READ_ROOM);
    }

    #[test]
    fn the_room_of_a_large_message_is_given_back() {
        let mut deframer = deframer(100_000, Framed::wrap(&[7; 100_000]).as_bytes());
        assert_eq!(deframer.next().unwrap().unwrap().len(), 100_000);
        assert!(deframer.buffer().get_ref().capacity() <= 2 * READ_ROOM);
    }
}

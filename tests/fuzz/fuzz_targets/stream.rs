//! A stream cut anywhere gives the same messages and ends the same way as the stream in one piece.
//!
//! The first octet says how many of those after it are sizes of reads; the rest is the stream.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use loopkdc_fuzz::wire::{Deframer, FieldTooLong, Framed};

/// Small, so that lengths above it are as common as lengths below.
const MAX: usize = 300;

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let (sizes, stream) = rest.split_at(rest.len().min(usize::from(*count)));
    let (whole, end) = deframe(std::iter::once(stream));
    assert_eq!(deframe(cut(stream, sizes)), (whole.clone(), end));

    // The messages put back behind their lengths are how the stream began.
    let back: Vec<u8> = whole
        .iter()
        .flat_map(|m| Framed::wrap(m).as_bytes().to_vec())
        .collect();
    assert!(stream.starts_with(&back));
    assert!(whole.iter().all(|message| message.len() <= MAX));
    assert_eq!(end == Ok(true), back.len() == stream.len());
});

/// The messages of a stream that arrives in `reads`, and whether nothing is left or what is wrong.
fn deframe<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, Result<bool, FieldTooLong>) {
    let mut deframer = Deframer::new(MAX);
    let mut messages = Vec::new();
    for read in reads {
        deframer.buffer().get_mut().extend_from_slice(read);
        loop {
            match deframer.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(deframer.held() == 0))
}

/// `stream` in pieces of `sizes`, and what is left in one.
fn cut<'a>(mut stream: &'a [u8], sizes: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.to_vec().into_iter();
    std::iter::from_fn(move || {
        if stream.is_empty() {
            return None;
        }
        let size = sizes.next().map_or(stream.len(), usize::from);
        let (read, rest) = stream.split_at(size.min(stream.len()));
        stream = rest;
        Some(read)
    })
}

//! The bytes a peer sent that are not used yet.

use std::io::{self, Read};

use crate::http::config::Config;

/// One buffer for all requests of a connection.
///
/// It doubles while one request does not fit and falls back to its first size when it is empty after that, so that an idle
/// connection holds at most [`RETAINED_BYTES`].
///
/// # Invariants
///
/// `start <= end <= bytes.len()`; what is between the two is unused input, what is behind `end` may be overwritten.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The longest request: no request fills a buffer of this size without being complete or refused.
    request_bytes_max: usize,
}

impl Input {
    /// Makes an empty buffer; the first read allocates it.
    pub(super) fn new(config: &Config) -> Self {
        let request_bytes_max = config.head_bytes_max + config.body_bytes_max;
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            request_bytes_max,
        }
    }

    /// Returns the input that is not used yet.
    #[inline]
    pub(super) fn unused(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes `count` bytes of the unused input as used.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Reads once more from the peer and returns how many bytes came, 0 at the end of the stream.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        let room = &mut self.bytes[self.end..];
        loop {
            match stream.read(room) {
                Ok(count) => {
                    // A stream that claims more than there was room for is broken, but must not break us.
                    let count = count.min(room.len());
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes sure that there is room behind `end`.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.is_empty() || self.bytes.len() > RETAINED_BYTES {
                self.bytes = vec![0; FIRST_BYTES];
            }
            return;
        }
        if self.end < self.bytes.len() {
            return;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.bytes.len() {
            let doubled = (self.end * 2).min(self.request_bytes_max).max(self.end + 1);
            self.bytes.resize(doubled, 0);
        }
    }
}

/// What a connection reads into at first.
const FIRST_BYTES: usize = 4 * 1024;

/// What a buffer that is empty may keep.
pub(super) const RETAINED_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives as many bytes as it is asked for, counting up.
    struct Endless(u8);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            for byte in buffer.iter_mut() {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(buffer.len())
        }
    }

    #[test]
    fn grows_by_doubling_up_to_the_longest_request_and_shrinks_when_empty() {
        let config = Config::new().head_bytes_max(1_000).body_bytes_max(40_000);
        let mut input = Input::new(&config);
        let mut sizes = Vec::new();
        for _ in 0..5 {
            input.fill(&mut Endless(0)).expect("reads");
            sizes.push(input.bytes.len());
        }
        assert_eq!(sizes, [4_096, 8_192, 16_384, 32_768, 41_000]);
        input.consume(41_000);
        input.fill(&mut Endless(0)).expect("reads");
        assert_eq!(input.bytes.len(), FIRST_BYTES);
    }

    #[test]
    fn moves_before_it_grows_and_keeps_the_bytes() {
        let mut input = Input::new(&Config::new());
        let mut stream = Endless(0);
        input.fill(&mut stream).expect("reads");
        input.consume(4_000);
        assert_eq!(input.fill(&mut stream).expect("reads"), 4_000);
        assert_eq!(input.bytes.len(), FIRST_BYTES);
        let expected: Vec<u8> = (4_000..4_000 + 4_096).map(|count| count as u8).collect();
        assert_eq!(input.unused(), expected);
    }

    #[test]
    fn interruptions_are_tried_again_and_lies_are_cut() {
        struct Odd(bool);
        impl Read for Odd {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Ok(usize::MAX);
                }
                Err(io::ErrorKind::Interrupted.into())
            }
        }
        let mut input = Input::new(&Config::new());
        assert_eq!(input.fill(&mut Odd(false)).expect("reads"), FIRST_BYTES);
        assert_eq!(input.unused().len(), FIRST_BYTES);
    }
}

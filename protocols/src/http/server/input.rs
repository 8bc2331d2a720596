//! The bytes a peer sent that are not used yet.

use std::io;
use std::ops::Range;

use super::link::Link;
use crate::http::config::Config;

/// One buffer for all requests of a connection.
///
/// It doubles while one head does not fit and falls back to its first size when it is empty after that, so that an idle
/// connection holds at most [`RETAINED_BYTES`]. Bodies are read behind their heads.
///
/// # Invariants
///
/// `start <= end <= bytes.len()`; what is between the two is unused input, what is behind `end` may be overwritten.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The longest head: none fills a buffer of this size without being complete or refused.
    head_bytes_max: usize,
}

impl Input {
    /// Makes an empty buffer; the first read allocates it.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            head_bytes_max: config.head_bytes_max,
        }
    }

    /// Returns the input that is not used yet.
    #[inline]
    pub(super) fn unused(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Divides the buffer behind the head that the input begins with: the head, and the room behind it, of which so many bytes are
    /// input.
    #[inline]
    pub(super) fn split(&mut self, head_bytes: usize) -> (&[u8], &mut [u8], usize) {
        let behind = self.start + head_bytes;
        let (front, room) = self.bytes.split_at_mut(behind);
        (&front[self.start..], room, self.end - behind)
    }

    /// Makes sure that the room behind a head takes a body's next bytes.
    pub(super) fn make_room_behind(&mut self, head_bytes: usize) {
        let needed = self.start + head_bytes + ROOM_BYTES_MIN;
        if self.bytes.len() < needed && self.start > 0 {
            self.move_to_front();
        }
        if self.bytes.len() < self.start + head_bytes + ROOM_BYTES_MIN {
            self.bytes.resize(head_bytes + FIRST_BYTES, 0);
        }
    }

    /// Returns where the unused input begins.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Takes a head as used that has no body behind it.
    #[inline]
    pub(super) fn skip(&mut self, head_bytes: usize) {
        self.start += head_bytes;
    }

    /// Takes a request as used: its head, and what the body has made of the room behind that.
    #[inline]
    pub(super) fn consume(&mut self, head_bytes: usize, (used, end): (usize, usize)) {
        let behind = self.start + head_bytes;
        self.start = behind + used;
        self.end = behind + end;
    }

    /// Adds input that came by another way, when all before it is used. The heads that were taken are gone then.
    pub(super) fn append(&mut self, input: &[u8]) {
        if input.is_empty() {
            return;
        }
        (self.start, self.end) = (0, input.len());
        self.bytes.resize(self.bytes.len().max(input.len()), 0);
        self.bytes[..input.len()].copy_from_slice(input);
    }

    /// Returns a head that was taken; it stands there until the next input is read.
    pub(super) fn used(&self, head: Range<usize>) -> &[u8] {
        &self.bytes[head]
    }

    /// Reads once more from the peer and returns how many bytes came, 0 at the end of the stream.
    pub(super) fn fill(&mut self, link: &Link<'_>) -> io::Result<usize> {
        self.make_room();
        let count = link.read(&mut self.bytes[self.end..])?;
        self.end += count;
        Ok(count)
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
        self.move_to_front();
        if self.end == self.bytes.len() {
            let doubled = (self.end * 2).min(self.head_bytes_max).max(self.end + 1);
            self.bytes.resize(doubled, 0);
        }
    }

    fn move_to_front(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }
}

/// What a connection reads into at first.
const FIRST_BYTES: usize = 4 * 1024;

/// With less room than this for a body, reading one would cost too many calls.
const ROOM_BYTES_MIN: usize = 1024;

/// What a buffer that is empty may keep.
pub(super) const RETAINED_BYTES: usize = 16 * 1024;

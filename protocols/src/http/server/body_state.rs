//! How far the body of a request has been read.

use std::time::{Duration, Instant};

use ::http::HeaderMap;

use crate::http::config::Config;
use crate::http::error::BodyError;
use crate::http::wire::{BodyLength, ChunkedDecoder, Decoded, RequestHead};

/// How far the body of a request has been read; one for all requests of a connection.
///
/// Input that has arrived stands in a buffer called the room: `start..end` is unused. A chunked body of which more comes at once than
/// fits into the room behind the head gets a larger one.
#[derive(Debug)]
pub(crate) struct BodyState {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What stood in front of the room and was given away for good.
    pub(super) given: usize,
    pub(super) source: Source,
    pub(super) received: u64,
    pub(super) limit: u64,
    pub(super) awaits_continue: bool,
    /// How long it took to wait for the peer so far.
    pub(super) waited: Duration,
    /// All that was asked for came the last time.
    pub(super) was_full: bool,
    /// When waiting for what is thrown away must end.
    pub(super) drain_deadline: Option<Instant>,
    pub(super) failure: Option<BodyError>,
    pub(super) trailers: Option<Box<HeaderMap>>,
}

#[derive(Debug)]
pub(super) enum Source {
    Ended,
    /// So many bytes are left, at least one.
    Length(u64),
    Chunked(ChunkedDecoder),
}

impl BodyState {
    pub(crate) fn new() -> Self {
        Self {
            start: 0,
            end: 0,
            given: 0,
            source: Source::Ended,
            received: 0,
            limit: 0,
            awaits_continue: false,
            waited: Duration::ZERO,
            was_full: false,
            drain_deadline: None,
            failure: None,
            trailers: None,
        }
    }

    /// Begins the body behind `head`, of which `buffered` bytes are in the room, or input that belongs to later requests. A request
    /// without one finds what [`Self::finish`] has left.
    #[inline(never)]
    pub(crate) fn begin(&mut self, head: &RequestHead, buffered: usize, config: &Config) {
        *self = Self {
            end: buffered,
            source: match head.body() {
                BodyLength::Known(length) => Source::Length(length),
                BodyLength::Chunked => Source::Chunked(ChunkedDecoder::new()),
            },
            limit: config.body_bytes_max,
            awaits_continue: head.awaits_continue(),
            ..Self::new()
        };
    }

    /// Forgets a body whose request was answered: nothing of it may show in the next one, trailers least of all.
    pub(crate) fn finish(&mut self) {
        *self = Self::new();
    }

    /// Returns what was used of the buffer that the room is a part of, and where its input ends, counted from the room's first
    /// byte.
    #[inline]
    pub(crate) fn position(&self, large: &[u8]) -> (usize, usize) {
        match large.is_empty() {
            true => (self.given + self.start, self.given + self.end),
            false => (self.given, self.given),
        }
    }

    /// Returns the input in the larger room that belongs to later requests.
    pub(crate) fn surplus<'large>(&self, large: &'large [u8]) -> &'large [u8] {
        large.get(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns whether what is left of the body can be thrown away, so that the next request can be read.
    pub(crate) fn can_be_drained(&self) -> bool {
        // Nobody knows how long a chunked body will be, and an answer that promises to keep the connection must keep it. Whoever
        // waits for 100 and gets another answer may send the body or not: nobody can tell what its bytes are.
        let is_limited = !matches!(self.source, Source::Chunked(_));
        is_limited && self.failure.is_none() && !self.awaits_continue
    }

    /// Goes on in a room that begins with the input that is unused.
    pub(crate) fn resume(&mut self, buffered: usize) {
        (self.start, self.end, self.given) = (0, buffered, 0);
    }

    /// Looks for data that is in the room: after it, that many bytes stand at `start`.
    pub(super) fn next_data(&mut self, room: &[u8], config: &Config) -> Result<usize, BodyError> {
        let buffered = self.end - self.start;
        match &mut self.source {
            Source::Ended => Ok(0),
            Source::Length(left) => {
                if left.saturating_add(self.received) > self.limit {
                    return Err(BodyError::TooLong { limit: self.limit });
                }
                Ok(buffered.min(usize::try_from(*left).unwrap_or(usize::MAX)))
            }
            Source::Chunked(decoder) => {
                let decoded = decoder
                    .decode(&room[self.start..self.end], config)
                    .map_err(BodyError::Malformed)?;
                if let Some(left) = decoder.data_left()
                    && left.saturating_add(self.received) > self.limit
                {
                    return Err(BodyError::TooLong { limit: self.limit });
                }
                match decoded {
                    Decoded::Data { skipped, length } => {
                        self.start += skipped;
                        Ok(length)
                    }
                    Decoded::NeedMore => {
                        self.start = self.end;
                        Ok(0)
                    }
                    Decoded::End { skipped } => {
                        self.start += skipped;
                        let trailers = decoder.take_trailers().map_err(BodyError::Malformed)?;
                        self.trailers = trailers.map(Box::new);
                        self.source = Source::Ended;
                        Ok(0)
                    }
                }
            }
        }
    }

    /// Takes note that so much data was used, from the room or straight from the stream.
    pub(super) fn take(&mut self, count: usize) {
        self.received += count as u64;
        match &mut self.source {
            Source::Ended => {}
            Source::Length(left) => {
                *left -= count as u64;
                if *left == 0 {
                    self.source = Source::Ended;
                }
            }
            Source::Chunked(decoder) => decoder.take(count),
        }
    }

    /// Returns how many of the next bytes of the stream are data, if nothing is in the room.
    pub(super) fn data_left(&self) -> u64 {
        match &self.source {
            Source::Ended => 0,
            Source::Length(left) => *left,
            Source::Chunked(decoder) => decoder.data_left().unwrap_or_default(),
        }
    }
}

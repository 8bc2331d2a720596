//! Reading the body of a request: from what is here already, and from the peer.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use ::http::HeaderMap;

use super::body_state::{BodyState, Source};
use super::link::{AnyConnection, Link, is_timeout};
use super::output::Output;
use crate::http::error::BodyError;

/// All that reading a body takes.
pub(crate) struct Incoming<'a> {
    pub(crate) room: &'a mut [u8],
    /// The larger room; empty while there is none.
    pub(crate) large: &'a mut Vec<u8>,
    pub(crate) body: &'a mut BodyState,
    pub(crate) output: &'a RefCell<Output>,
    pub(crate) link: &'a Link<'a>,
}

impl<'a> Incoming<'a> {
    /// Lends all of it for a shorter time.
    pub(crate) fn lend(&mut self) -> Incoming<'_> {
        Incoming {
            room: self.room,
            large: self.large,
            body: self.body,
            output: self.output,
            link: self.link,
        }
    }

    pub(crate) fn limit(&mut self, bytes: u64) {
        self.body.limit = bytes;
    }

    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.body.trailers.as_deref()
    }

    /// Tells a peer that waits for it to send the body, and returns whether it did. It is told so too if it did not wait in the end:
    /// what is sent must not depend on what has come.
    pub(crate) fn send_continue(&mut self) -> io::Result<bool> {
        let is_awaited = std::mem::take(&mut self.body.awaits_continue);
        if is_awaited {
            let mut output = self.output.borrow_mut();
            output.push_continue();
            output.send(self.link)?;
        }
        Ok(is_awaited)
    }

    /// Returns the next data, waiting for it if there is none in the room; nothing at the end of the body.
    pub(crate) fn data(&mut self) -> Result<&[u8], BodyError> {
        let length = self.find_data()?;
        let start = self.body.start;
        Ok(&self.room()[start..start + length])
    }

    fn find_data(&mut self) -> Result<usize, BodyError> {
        self.begin()?;
        loop {
            let length = self.next_data()?;
            if length > 0 || self.body.is_ended() {
                return Ok(length);
            }
            self.receive()?;
        }
    }

    /// Takes data that [`Self::data`] returned.
    pub(crate) fn take(&mut self, count: usize) {
        self.body.start += count;
        self.body.take(count);
    }

    /// Takes what a reader says it has used of the data.
    pub(crate) fn consume(&mut self, count: usize) {
        let buffered = self.body.end - self.body.start;
        let left = self.body.data_left().min(buffered as u64);
        assert!(count as u64 <= left, "{count} bytes consumed of {left}");
        self.take(count);
    }

    /// Reads into `buffer`: what is in the room, or straight from the stream if there is much to come.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.begin()?;
        loop {
            let length = self.next_data()?.min(buffer.len());
            if length > 0 {
                let start = self.body.start;
                buffer[..length].copy_from_slice(&self.room()[start..start + length]);
                self.take(length);
                return Ok(length);
            }
            if self.body.is_ended() {
                return Ok(0);
            }
            self.grow();
            // With a large room many chunks come with one call.
            let direct_min = self.large.len().max(DIRECT_BYTES_MIN);
            if buffer.len() >= DIRECT_BYTES_MIN && self.body.data_left() >= direct_min as u64 {
                return self.receive_directly(buffer);
            }
            self.receive()?;
        }
    }

    /// Returns the whole of what is left.
    pub(crate) fn read_whole(&mut self, into: &mut Vec<u8>) -> Result<(), BodyError> {
        // What was made room for stays zeroed between reads: to make it anew would cost more than the bytes of a slow peer.
        let mut filled = into.len();
        let result = loop {
            if filled == into.len() {
                let left = usize::try_from(self.body.data_left()).unwrap_or(usize::MAX);
                let step = filled.max(WHOLE_STEP_MIN);
                into.resize(filled + step.min(left.max(WHOLE_STEP_MIN)), 0);
            }
            match self.read(&mut into[filled..]) {
                Ok(0) => break Ok(()),
                Ok(count) => filled += count,
                Err(error) => break Err(error),
            }
        };
        into.truncate(filled);
        result
    }

    /// Gives the whole of what is left away if it has a place in the room; what is not there yet is waited for.
    pub(crate) fn take_room(&mut self) -> Result<Option<&'a [u8]>, BodyError> {
        self.begin()?;
        let Source::Length(left) = self.body.source else {
            return Ok(None);
        };
        self.next_data()?;
        let Some(length) = usize::try_from(left)
            .ok()
            .filter(|length| *length <= self.room.len())
        else {
            return Ok(None);
        };
        while self.body.end - self.body.start < length {
            self.receive()?;
        }
        let end = self.body.start + length;
        let (front, room) = std::mem::take(&mut self.room).split_at_mut(end);
        let whole = &front[self.body.start..];
        self.room = room;
        self.body.given += end;
        (self.body.start, self.body.end) = (0, self.body.end - end);
        self.body.take(length);
        Ok(Some(whole))
    }

    /// Throws away what is left and already here. An error shows when the connection is to go on.
    ///
    /// The rest of a chunked body stays, since whether its end is here depends on how the bytes were cut, and so does a body that was
    /// never asked for.
    pub(crate) fn skip_buffered(&mut self) {
        if matches!(self.body.source, Source::Chunked(_)) || self.body.awaits_continue {
            return;
        }
        let config = self.link.config;
        self.body.limit = self.body.received.saturating_add(config.drain_bytes_max);
        while self.body.failure.is_none()
            && let Ok(length @ 1..) = self.next_data()
        {
            self.take(length);
        }
    }

    /// Throws away what is left, within bounds: the handler's own limit may be none, and a read that finds bytes looks at no deadline.
    pub(crate) fn skip(&mut self, deadline: Option<Instant>) -> Result<(), BodyError> {
        let bytes_max = self.link.config.drain_bytes_max;
        self.body.limit = self.body.received.saturating_add(bytes_max);
        self.body.drain_deadline = deadline;
        loop {
            let length = self.find_data()?;
            if length == 0 {
                return Ok(());
            }
            self.take(length);
        }
    }

    /// Begins to read, or goes on.
    fn begin(&mut self) -> Result<(), BodyError> {
        if let Some(failure) = &self.body.failure {
            return Err(failure.again());
        }
        if !self.body.awaits_continue {
            return Ok(());
        }
        // Too long a body must not be asked for. What is wrong with chunks shows afterwards: some may be here and some not.
        if matches!(self.body.source, Source::Length(_)) {
            self.next_data()?;
        }
        let result = self.send_continue();
        result
            .map(drop)
            .map_err(|error| fail(&mut self.body.failure, BodyError::Read(error)))
    }

    /// Where the input is.
    fn room(&self) -> &[u8] {
        if self.large.is_empty() {
            self.room
        } else {
            self.large
        }
    }

    /// Gets the larger room if much is to come. The present one is used up.
    fn grow(&mut self) {
        let is_chunked = matches!(self.body.source, Source::Chunked(_));
        if is_chunked && self.body.was_full && self.large.is_empty() {
            self.large.resize(LARGE_BYTES, 0);
            self.body.given += self.room.len();
            (self.body.start, self.body.end) = (0, 0);
        }
    }

    fn next_data(&mut self) -> Result<usize, BodyError> {
        let room = match self.large.is_empty() {
            true => &*self.room,
            false => &self.large[..],
        };
        self.body
            .next_data(room, self.link.config)
            .map_err(|error| fail(&mut self.body.failure, error))
    }

    /// Waits for more input in the room, which has space.
    fn receive(&mut self) -> Result<(), BodyError> {
        self.grow();
        let body = &mut *self.body;
        // Only a body with a length leaves data that is not used, and it has no larger room.
        if body.start == body.end {
            (body.start, body.end) = (0, 0);
        } else if body.end == self.room.len() {
            self.room.copy_within(body.start..body.end, 0);
            (body.start, body.end) = (0, body.end - body.start);
        }
        let end = self.body.end;
        let count = self.wait(|link, room| link.read(&mut room[end..]))?;
        self.body.end += count;
        self.body.was_full = self.body.end == self.room().len();
        Ok(())
    }

    /// Waits for data, of which there is more to come than fits into the room, and for what stands behind it.
    fn receive_directly(&mut self, buffer: &mut [u8]) -> Result<usize, BodyError> {
        (self.body.start, self.body.end) = (0, 0);
        let left = usize::try_from(self.body.data_left()).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let buffer = &mut buffer[..length];
        // The end of one chunk and the beginning of the next come with the same call.
        let is_last_of_chunk = length == left && matches!(self.body.source, Source::Chunked(_));
        let count = self.wait(|link, room| {
            if is_last_of_chunk {
                link.read_vectored(buffer, room)
            } else {
                link.read(buffer)
            }
        })?;
        self.body.was_full = count == length + self.room().len();
        let taken = count.min(length);
        self.body.end = count - taken;
        self.body.take(taken);
        Ok(taken)
    }

    /// Waits for the peer as long as it may take, counting the time.
    fn wait(
        &mut self,
        read: impl FnOnce(&Link<'_>, &mut [u8]) -> io::Result<usize>,
    ) -> Result<usize, BodyError> {
        let (link, config) = (self.link, self.link.config);
        let result = self.send_answers().and_then(|()| {
            let began = Instant::now();
            let rated = config.time_for(self.body.received);
            let allowed = config.body_timeout.saturating_add(rated);
            let allowed = began.checked_add(allowed.saturating_sub(self.body.waited));
            let deadline = self.body.drain_deadline.or(allowed);
            link.stream.set_read_deadline(deadline);
            let room = match self.large.is_empty() {
                true => &mut *self.room,
                false => &mut self.large[..],
            };
            let _waiting = Waiting {
                stream: link.stream,
                began,
                waited: &mut self.body.waited,
            };
            read(link, room)
        });
        let error = match result {
            Ok(0) => BodyError::Truncated,
            Ok(count) => return Ok(count),
            Err(error) if is_timeout(&error) => BodyError::TimedOut,
            Err(error) => BodyError::Read(error),
        };
        Err(fail(&mut self.body.failure, error))
    }

    /// Writes what is to be written before this request's answer: the peer may wait for it.
    fn send_answers(&self) -> io::Result<()> {
        let mut output = match self.output.try_borrow_mut() {
            Ok(output) if !output.is_streaming() => output,
            // The writer sees to it, in this fiber or another.
            _ => return Ok(()),
        };
        output.send(self.link)
    }
}

/// One wait for the peer. It counts also if the handler's own timeout breaks it off.
struct Waiting<'a> {
    stream: &'a dyn AnyConnection,
    began: Instant,
    waited: &'a mut Duration,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.stream.set_read_deadline(None);
        *self.waited += self.began.elapsed();
    }
}

/// Keeps the error for whoever reads again.
fn fail(failure: &mut Option<BodyError>, error: BodyError) -> BodyError {
    failure.get_or_insert(error.again());
    error
}

/// From this size on a read goes past the connection's buffer.
const DIRECT_BYTES_MIN: usize = 1024;

/// The larger room. With more the data would have left the nearest caches when it is used.
const LARGE_BYTES: usize = 64 * 1024;

/// What a buffer for a whole body grows by at first; then it doubles.
const WHOLE_STEP_MIN: usize = 16 * 1024;

//! The body of a request, as a handler reads it.

use std::fmt;
use std::io::{self, BufRead, Read};

use ::http::HeaderMap;

use super::incoming::Incoming;
use crate::switchpoint;

/// The body of a request, read while the peer sends it.
///
/// Small reads go through the connection's buffer; large ones come straight from the stream. An end before the body is whole is an
/// error, never the end of the body. Every error is an [`io::Error`] with a [`BodyError`](crate::http::BodyError) inside.
pub struct BodyReader<'a> {
    incoming: Incoming<'a>,
}

impl<'a> BodyReader<'a> {
    pub(crate) fn new(incoming: Incoming<'a>) -> Self {
        Self { incoming }
    }

    /// Returns the trailers behind a chunked body that was read to its end, if there were any.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.incoming.trailers()
    }
}

impl Read for BodyReader<'_> {
    #[switchpoint(
        wakes = "bytes, the end of the body, or the timeout",
        cancel = "nothing was taken"
    )]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.incoming.read(buffer)?)
    }
}

impl BufRead for BodyReader<'_> {
    #[switchpoint(
        wakes = "bytes, the end of the body, or the timeout",
        cancel = "nothing was taken"
    )]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.incoming.data()?)
    }

    /// Takes bytes that `fill_buf` returned.
    ///
    /// # Panics
    ///
    /// If `count` is more than `fill_buf` returned.
    fn consume(&mut self, count: usize) {
        self.incoming.consume(count);
    }
}

impl fmt::Debug for BodyReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BodyReader")
            .field("received", &self.incoming.body.received())
            .field("is_ended", &self.incoming.body.is_ended())
            .finish_non_exhaustive()
    }
}

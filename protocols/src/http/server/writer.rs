//! The body of a response, written by the handler.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};

use ::http::HeaderMap;

use super::link::Link;
use super::output::Output;
use crate::http::response::Response;
use crate::http::wire::may_be_trailer;
use crate::switchpoint;

/// The body of a response whose head was sent by [`Request::start_response`](crate::http::Request::start_response).
///
/// Each write is sent at once, as a chunk of its own if the response has no length; put a [`BufWriter`](std::io::BufWriter)
/// around it for many small ones. [`finish`](Self::finish) ends the body. Dropping it earlier breaks the response off: the peer
/// sees the connection end inside the body. If nothing of it is written yet, not even the head, nothing is broken: what the handler
/// returns is the answer.
#[must_use = "a response that is not finished is broken off"]
pub struct BodyWriter<'a> {
    output: &'a RefCell<Output>,
    link: &'a Link<'a>,
    takes_trailers: bool,
}

impl<'a> BodyWriter<'a> {
    pub(crate) fn new(
        output: &'a RefCell<Output>,
        link: &'a Link<'a>,
        takes_trailers: bool,
    ) -> Self {
        Self {
            output,
            link,
            takes_trailers,
        }
    }

    /// Ends the body and returns what the handler must return in the place of a response.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the response has a `Content-Length` and fewer bytes were written.
    pub fn finish(self) -> io::Result<Response> {
        self.end(None)
    }

    /// Ends the body with trailers behind it, if the peer said that it takes them (`TE: trailers`) and the body is chunked; they
    /// are left out if not.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish); and `InvalidInput` for a field that may not stand in trailers, such as `Content-Length`.
    pub fn finish_with_trailers(self, trailers: &HeaderMap) -> io::Result<Response> {
        if let Some(name) = trailers.keys().find(|name| !may_be_trailer(name)) {
            let reason = format!("{name} may not stand in trailers");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let taken = self.takes_trailers.then_some(trailers);
        self.end(taken)
    }

    fn end(self, trailers: Option<&HeaderMap>) -> io::Result<Response> {
        self.output.borrow_mut().finish(trailers)?;
        Ok(Response::sent())
    }
}

impl Write for BodyWriter<'_> {
    #[switchpoint(
        wakes = "room in the system's buffer, or the timeout",
        cancel = "a part may have been written"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.borrow_mut().write(self.link, bytes)?;
        Ok(bytes.len())
    }

    /// Sends the head, if nothing of the body was written yet. Nothing else is ever kept back.
    #[switchpoint(
        wakes = "room in the system's buffer, or the timeout",
        cancel = "a part may have been written"
    )]
    fn flush(&mut self) -> io::Result<()> {
        self.output.borrow_mut().send(self.link)
    }
}

impl fmt::Debug for BodyWriter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BodyWriter").finish_non_exhaustive()
    }
}

//! One connection: read, answer all that was read, write, again.

use std::io::{Read, Write};
use std::time::SystemTime;

use ::http::{Method, StatusCode};

use super::input::{Input, RETAINED_BYTES};
use crate::http::config::Config;
use crate::http::error::{Refusal, ServeError};
use crate::http::request::{MadeParts, Request};
use crate::http::response::Response;
use crate::http::wire::{
    BodyRule, DateLine, HeadParser, HeadRepeater, Parsed, Persistence, RequestHead,
    begins_with_head_method,
};

/// Answers requests.
///
/// Implemented by closures and functions that take `&mut Request<'_>` and return something that turns into a [`Response`]. A
/// closure must name the type of its argument, since Rust infers it from no other trait than its own.
///
/// # Examples
///
/// ```
/// use kapok::http::{Handler, Request, Response, StatusCode};
///
/// fn app() -> impl Handler {
///     |request: &mut Request<'_>| match request.path() {
///         "/" => Response::text("Hello, World!"),
///         _ => Response::not_found(),
///     }
/// }
/// # let _ = app();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle HTTP requests",
    label = "not a handler",
    note = "a handler is `Fn(&mut Request<'_>) -> R` where `R: Into<Response>`; a closure must name the type of its argument: `|request: &mut Request<'_>| ...`"
)]
pub trait Handler {
    /// Answers one request.
    ///
    /// A `HEAD` request may be answered like `GET`: its body is not sent. What the handler left unread of the request's body is
    /// skipped. A panic goes through to the caller of [`serve_connection`] with the answers of the batch unwritten.
    fn handle(&self, request: &mut Request<'_>) -> Response;
}

impl<F, R> Handler for F
where
    F: Fn(&mut Request<'_>) -> R,
    R: Into<Response>,
{
    #[inline]
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self(request).into()
    }
}

/// How a connection came to its end, and so what remains to be done with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The peer ended the stream between requests. All were answered; the stream can be dropped.
    PeerClosed,
    /// A request was refused, after those before it were answered. See [`must_linger`](Self::must_linger).
    Refused(Refusal),
    /// The last answer said that the connection ends. See [`must_linger`](Self::must_linger).
    ServerClosed,
}

impl ConnectionEnd {
    /// Returns whether the peer may still be sending.
    ///
    /// If so, dropping the stream at once can reset the connection and destroy the last answer on its way. Shut down the
    /// writing side, read and discard for a bounded time and number of bytes, then drop it.
    #[must_use]
    pub const fn must_linger(&self) -> bool {
        !matches!(self, Self::PeerClosed)
    }
}

/// Serves one connection until it ends.
///
/// Reads into one buffer, answers every request in it, and writes the answers with one call; earlier when they reach 64 KiB
/// or [`Config::pipelined_max`]. In steady state nothing is allocated except by the handler. `clock` is asked for the time
/// once a batch, for the `Date` field. The stream is neither shut down nor closed: see [`ConnectionEnd::must_linger`].
///
/// The stream is taken by value; `&mut` of one, or `&TcpStream`, is a stream too.
///
/// # Errors
///
/// - [`ServeError::Read`]: reading failed. All requests read before were answered.
/// - [`ServeError::Truncated`]: the peer ended the stream inside a request. All requests before it were answered.
/// - [`ServeError::Write`]: writing failed. The handler ran for requests whose answers were lost.
///
/// After any of them the stream is of no further use.
///
/// # Examples
///
/// ```no_run
/// # use std::{io, net::TcpListener, time::SystemTime};
/// use kapok::http::{Config, Request, serve_connection};
///
/// # fn main() -> io::Result<()> {
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// let (stream, _) = listener.accept()?;
/// let app = |_: &mut Request<'_>| "Hello, World!";
/// serve_connection(&stream, &Config::new(), &app, SystemTime::now)?;
/// # Ok(())
/// # }
/// ```
pub fn serve_connection<S, H, C>(
    mut stream: S,
    config: &Config,
    handler: &H,
    clock: C,
) -> Result<ConnectionEnd, ServeError>
where
    S: Read + Write,
    H: Handler + ?Sized,
    C: Fn() -> SystemTime,
{
    let mut connection = Connection::new(config);
    loop {
        let count = connection
            .input
            .fill(&mut stream)
            .map_err(ServeError::Read)?;
        if count == 0 {
            return connection.end_of_input();
        }
        if let Some(end) = connection.answer_all(&mut stream, config, handler, &clock)? {
            return Ok(end);
        }
    }
}

/// The state of a connection between two reads.
#[derive(Debug)]
struct Connection {
    input: Input,
    parser: HeadParser,
    head: RequestHead,
    /// The length of a head that is parsed into `head` while its body is incomplete.
    head_bytes: Option<usize>,
    made: MadeParts,
    output: Output,
}

impl Connection {
    fn new(config: &Config) -> Self {
        Self {
            input: Input::new(config),
            parser: HeadParser::default(),
            head: RequestHead::new(),
            head_bytes: None,
            made: MadeParts::default(),
            output: Output {
                bytes: Vec::new(),
                heads: HeadRepeater::default(),
                date: DateLine::new(),
            },
        }
    }

    /// Answers every complete request of the input and writes the answers. `None` means that more input is needed.
    fn answer_all<S, H, C>(
        &mut self,
        stream: &mut S,
        config: &Config,
        handler: &H,
        clock: &C,
    ) -> Result<Option<ConnectionEnd>, ServeError>
    where
        S: Write,
        H: Handler + ?Sized,
        C: Fn() -> SystemTime,
    {
        loop {
            self.output.date.at(clock());
            for _ in 0..config.pipelined_max {
                let end = match self.find_request(config) {
                    Found::Complete => self.answer(stream, handler)?,
                    Found::Nothing => return self.output.write(stream).map(|()| None),
                    Found::Refused(refusal) => Some(self.refuse(stream, refusal)?),
                };
                if end.is_some() {
                    return self.output.write(stream).map(|()| end);
                }
                if self.output.bytes.len() >= OUTPUT_BYTES_MAX {
                    break;
                }
            }
            self.output.write(stream)?;
        }
    }

    /// Looks whether the input begins with a whole request; if so, its head is in `head`.
    #[inline]
    fn find_request(&mut self, config: &Config) -> Found {
        let unused = self.input.unused();
        let head_bytes = match self.head_bytes {
            Some(head_bytes) => head_bytes,
            None if unused.is_empty() => return Found::Nothing,
            None => match self.parser.parse(unused, config, &mut self.head) {
                Parsed::Complete(head_bytes) => head_bytes,
                Parsed::NeedMore => return Found::Nothing,
                Parsed::Refused(refusal) => return Found::Refused(refusal),
            },
        };
        self.head_bytes = Some(head_bytes);
        if unused.len() - head_bytes < self.head.body_bytes() {
            return Found::Nothing;
        }
        Found::Complete
    }

    /// Has the request that was found answered and takes it from the input. Returns the end if this was the last one.
    #[inline]
    fn answer<S, H>(
        &mut self,
        stream: &mut S,
        handler: &H,
    ) -> Result<Option<ConnectionEnd>, ServeError>
    where
        S: Write,
        H: Handler + ?Sized,
    {
        let head_bytes = self.head_bytes.take().unwrap_or_default();
        let request_bytes = head_bytes + self.head.body_bytes();
        self.made.reset();
        let (bytes, body) = self.input.unused()[..request_bytes].split_at(head_bytes);
        let mut response = handler.handle(&mut Request::new(&self.head, bytes, body, &self.made));
        if response.status().is_informational() {
            response = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let (method, persistence) = (self.head.method(), self.head.persistence());
        let persistence = self.output.push(stream, &response, method, persistence)?;
        self.input.consume(request_bytes);
        Ok((persistence == Persistence::Close).then_some(ConnectionEnd::ServerClosed))
    }

    /// Answers that the input cannot be taken.
    #[cold]
    fn refuse<S: Write>(
        &mut self,
        stream: &mut S,
        refusal: Refusal,
    ) -> Result<ConnectionEnd, ServeError> {
        // What was refused may well be a HEAD request, and then a body would be too much.
        let method = match begins_with_head_method(self.input.unused()) {
            true => Method::HEAD,
            false => Method::GET,
        };
        let response = Response::text(refusal.reason()).with_status(refusal.status());
        self.output
            .push(stream, &response, &method, Persistence::Close)?;
        Ok(ConnectionEnd::Refused(refusal))
    }

    /// Tells whether the stream may end here.
    #[cold]
    fn end_of_input(&self) -> Result<ConnectionEnd, ServeError> {
        // Line ends that follow a request belong to none. A head stays in the input until its body is complete.
        let is_between_requests = self
            .input
            .unused()
            .iter()
            .all(|byte| matches!(byte, b'\r' | b'\n'));
        if is_between_requests {
            Ok(ConnectionEnd::PeerClosed)
        } else {
            Err(ServeError::Truncated)
        }
    }
}

/// What the input begins with.
#[derive(Debug)]
enum Found {
    /// A whole request.
    Complete,
    /// No whole request yet.
    Nothing,
    /// What is no request that can be served.
    Refused(Refusal),
}

/// Answers that are not written yet.
#[derive(Debug)]
struct Output {
    bytes: Vec<u8>,
    heads: HeadRepeater,
    date: DateLine,
}

impl Output {
    /// Adds a response and returns what holds for the connection after it.
    #[inline]
    fn push(
        &mut self,
        stream: &mut impl Write,
        response: &Response,
        method: &Method,
        persistence: Persistence,
    ) -> Result<Persistence, ServeError> {
        let body = response.body().as_bytes();
        if body.len() < OUTPUT_BYTES_MAX
            && self
                .heads
                .repeat(&mut self.bytes, response, method, persistence)
        {
            self.bytes.extend_from_slice(body);
            return Ok(persistence);
        }
        self.push_any(stream, response, method, persistence)
    }

    /// Adds what is not like the answer before.
    #[inline(never)]
    fn push_any(
        &mut self,
        stream: &mut impl Write,
        response: &Response,
        method: &Method,
        persistence: Persistence,
    ) -> Result<Persistence, ServeError> {
        let date_line = self.date.current();
        let (rule, persistence) =
            self.heads
                .encode(&mut self.bytes, response, method, persistence, date_line);
        if rule == BodyRule::Send {
            let body = response.body().as_bytes();
            if body.len() < OUTPUT_BYTES_MAX {
                self.bytes.extend_from_slice(body);
            } else {
                // Copying it would cost more than a further write.
                self.write(stream)?;
                stream.write_all(body).map_err(ServeError::Write)?;
            }
        }
        Ok(persistence)
    }

    /// Writes all answers.
    fn write(&mut self, stream: &mut impl Write) -> Result<(), ServeError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        stream
            .write_all(&self.bytes)
            .and_then(|()| stream.flush())
            .map_err(ServeError::Write)?;
        self.bytes.clear();
        self.heads.forget();
        if self.bytes.capacity() > RETAINED_BYTES {
            self.bytes = Vec::new();
        }
        Ok(())
    }
}

/// When this much is to be written it is, even if there are more requests to answer.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;

//! One connection: read, answer all that was read, write, again.

use std::cell::RefCell;
use std::net::Shutdown;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use ::http::{Method, StatusCode, Version};

use super::input::Input;
use super::link::{AnyConnection, Link, is_timeout};
use super::observer::Answered;
use super::open::Open;
use super::output::{Output, StreamError};
use super::reader::{BodyState, Incoming};
use super::upgraded::Upgraded;
use crate::http::config::Config;
use crate::http::error::{Refusal, ServeError};
use crate::http::request::{MadeParts, Request};
use crate::http::response::{Content, Response};
use crate::http::wire::{BodyLength, HeadParser, Parsed, Persistence, RequestHead, Requested};
use crate::is_cancel;

/// Answers requests.
///
/// Implemented by closures and functions that take `&mut Request<'_>` and return something that turns into a [`Response`], which
/// a `Result` of two such things does too. A closure must name the type of its argument, since Rust infers it from no other trait
/// than its own.
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
    /// thrown away. After a panic the peer gets a 500, and the connection ends; the panic hook has told of it.
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

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The peer ended the stream between requests. All were answered.
    PeerClosed,
    /// The peer sent nothing for longer than [`Config::idle_timeout`], or the server stopped between requests.
    Idle,
    /// A request was refused, after those before it were answered.
    Refused(Refusal),
    /// The last answer said that the connection ends.
    ServerClosed,
    /// A handler panicked; its request was answered with 500.
    Panicked,
    /// The connection went on in another protocol, and that ended.
    Switched,
}

/// The state of a connection between two reads.
pub(super) struct Connection<'a> {
    link: Link<'a>,
    input: Input,
    parser: HeadParser,
    head: RequestHead,
    /// A head is incomplete, and its time is running.
    is_head_timed: bool,
    body: BodyState,
    made: MadeParts,
    output: RefCell<Output>,
    requests_left: u64,
}

/// What is left to do when no more requests are read.
pub(super) enum Outcome {
    Ended(ConnectionEnd, Farewell),
    /// The stream goes to this function with what came behind the request.
    Switch(Box<dyn FnOnce(Upgraded)>, Vec<u8>),
}

/// How to part with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The peer sends no more: the stream can be dropped.
    AtOnce,
    /// The peer may be sending: dropping the stream would reset the connection, and the peer could lose the last answer.
    Linger,
}

/// Serves one connection until it ends.
pub(super) fn serve<H: Handler + ?Sized>(
    open: Rc<Open<dyn AnyConnection>>,
    link: Link<'_>,
    handler: &H,
) -> Result<ConnectionEnd, ServeError> {
    let (config, stream) = (link.config, link.stream);
    stream.limit_read(Some(config.idle_timeout));
    stream.limit_write(Some(config.write_timeout));
    let outcome = Connection::new(link).serve(&open, handler)?;
    match outcome {
        Outcome::Ended(end, farewell) => {
            if farewell == Farewell::Linger {
                linger(stream, config);
            }
            Ok(end)
        }
        Outcome::Switch(serve, early) => {
            serve(Upgraded::new(open, early));
            Ok(ConnectionEnd::Switched)
        }
    }
}

impl<'a> Connection<'a> {
    fn new(link: Link<'a>) -> Self {
        Self {
            input: Input::new(link.config),
            parser: HeadParser::default(),
            head: RequestHead::new(),
            is_head_timed: false,
            body: BodyState::new(),
            made: MadeParts::default(),
            output: RefCell::new(Output::new()),
            requests_left: link.config.requests_max,
            link,
        }
    }

    fn serve<H: Handler + ?Sized>(
        mut self,
        open: &Open<dyn AnyConnection>,
        handler: &H,
    ) -> Result<Outcome, ServeError> {
        loop {
            if let Some(end) = self.fill(open)? {
                return Ok(end);
            }
            // Once a batch rather than once a request: it costs something, and ends the connection anyway.
            let answered = catch_unwind(AssertUnwindSafe(|| self.answer_all(handler)));
            let outcome = match answered {
                Ok(outcome) => outcome?,
                Err(payload) if is_cancel(&*payload) => resume_unwind(payload),
                Err(payload) => {
                    // Its destructor may panic too.
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                    Some(self.panicked()?)
                }
            };
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
    }

    /// Waits for more input. Returns the end if there is none.
    fn fill(&mut self, open: &Open<dyn AnyConnection>) -> Result<Option<Outcome>, ServeError> {
        let is_idle = self.input.unused().is_empty();
        if is_idle && self.link.is_stopping.get() {
            return Ok(Some(Outcome::Ended(ConnectionEnd::Idle, Farewell::Linger)));
        }
        if !is_idle && !self.is_head_timed {
            self.is_head_timed = true;
            let end = Instant::now().checked_add(self.link.config.head_timeout);
            self.link.stream.set_read_deadline(end);
        }
        open.is_idle.set(is_idle);
        let result = self.input.fill(&self.link);
        open.is_idle.set(false);
        match result {
            Ok(0) if is_idle => Ok(Some(Outcome::Ended(
                ConnectionEnd::PeerClosed,
                Farewell::AtOnce,
            ))),
            Ok(0) => Err(ServeError::Truncated),
            Ok(_) => Ok(None),
            Err(_) if is_idle && self.link.is_stopping.get() => {
                Ok(Some(Outcome::Ended(ConnectionEnd::Idle, Farewell::AtOnce)))
            }
            Err(error) if is_timeout(&error) && is_idle => {
                Ok(Some(Outcome::Ended(ConnectionEnd::Idle, Farewell::Linger)))
            }
            Err(error) if is_timeout(&error) => {
                let slow = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the head came too slowly");
                let outcome = self.refuse(slow)?;
                self.send()?;
                Ok(Some(outcome))
            }
            Err(error) => Err(ServeError::Read(error)),
        }
    }

    /// Answers every request whose head is in the input and writes the answers. `None` means that more input is needed.
    fn answer_all<H: Handler + ?Sized>(
        &mut self,
        handler: &H,
    ) -> Result<Option<Outcome>, ServeError> {
        let config = self.link.config;
        loop {
            self.output.get_mut().date.at((self.link.clock)());
            for _ in 0..config.pipelined_max {
                let unused = self.input.unused();
                if unused.is_empty() {
                    return self.send().map(|()| None);
                }
                let outcome = match self.parser.parse(unused, config, &mut self.head) {
                    Parsed::Complete(head_bytes) => self.answer(head_bytes, handler)?,
                    Parsed::NeedMore => return self.send().map(|()| None),
                    Parsed::Refused(refusal) => Some(self.refuse(refusal)?),
                };
                if outcome.is_some() {
                    return self.send().map(|()| outcome);
                }
                if self.output.get_mut().len() >= OUTPUT_BYTES_MAX {
                    break;
                }
            }
            self.send()?;
        }
    }

    /// Has the request whose head was parsed answered and takes it from the input. Returns the outcome if this was the last one.
    #[inline]
    fn answer<H: Handler + ?Sized>(
        &mut self,
        head_bytes: usize,
        handler: &H,
    ) -> Result<Option<Outcome>, ServeError> {
        if self.is_head_timed {
            self.is_head_timed = false;
            self.link.stream.set_read_deadline(None);
        }
        self.made.reset();
        if self.head.body() != BodyLength::Known(0) {
            self.input.make_room_behind(head_bytes);
        }
        self.requests_left -= 1;
        let persistence = match self.requests_left == 0 || self.link.is_stopping.get() {
            true => Persistence::Close,
            false => self.head.persistence(),
        };
        let began = self.link.observer.map(|_| Instant::now());

        let head_start = self.input.start();
        let (bytes, room, buffered) = self.input.split(head_bytes);
        self.body.begin(&self.head, buffered, self.link.config);
        let incoming = Incoming {
            room,
            body: &mut self.body,
            output: &self.output,
            link: &self.link,
        };
        let mut request = Request::new(&self.head, bytes, &self.made, incoming, persistence);
        let mut response = handler.handle(&mut request);
        request.skip_buffered_body();

        self.input.consume(head_bytes, self.body.position());
        let outcome = self.respond(&mut response, persistence, head_start, head_bytes)?;
        if let Some(began) = began {
            let head = head_start..head_start + head_bytes;
            self.observe(Some(head), began.elapsed());
        }
        if outcome.is_some() {
            return Ok(outcome);
        }
        if !self.body.is_ended() {
            return self.drain();
        }
        self.body.finish();
        Ok(None)
    }

    /// Answers with what the handler returned. Returns the outcome if this was the last answer.
    #[inline]
    fn respond(
        &mut self,
        response: &mut Response,
        persistence: Persistence,
        head_start: usize,
        head_bytes: usize,
    ) -> Result<Option<Outcome>, ServeError> {
        let persistence = match self.body.is_ended() || self.body.can_be_drained() {
            true => persistence,
            false => Persistence::Close,
        };
        let requested = Requested {
            method: self.head.method(),
            version: self.head.version(),
            persistence,
        };
        let output = self.output.get_mut();
        let is_common = !response.status().is_informational()
            && *requested.method != Method::CONNECT
            && output.is_ready();
        let kept = match response.content().as_bytes() {
            Some(body) if is_common => output
                .push(&self.link, response, body, requested)
                .map_err(ServeError::Write)?,
            _ => match self.respond_rarely(
                response,
                persistence,
                head_start..head_start + head_bytes,
            )? {
                Rare::Answered(persistence) => persistence,
                Rare::Switched(serve) => {
                    let early = self.input.unused().to_vec();
                    return Ok(Some(Outcome::Switch(serve, early)));
                }
            },
        };
        match kept {
            Persistence::Close => Ok(Some(self.close())),
            _ => Ok(None),
        }
    }

    /// Answers with what is not a body in memory, and in the place of what cannot be answered.
    #[inline(never)]
    fn respond_rarely(
        &mut self,
        response: &mut Response,
        persistence: Persistence,
        head: Range<usize>,
    ) -> Result<Rare, ServeError> {
        let requested = Requested {
            method: self.head.method(),
            version: self.head.version(),
            persistence,
        };
        let output = self.output.get_mut();
        let status = response.status();
        let is_tunnel = *requested.method == Method::CONNECT && status.is_success();
        match response.take_content() {
            Content::Sent if let Some(persistence) = output.end() => {
                return Ok(Rare::Answered(persistence));
            }
            _ if !output.is_ready() => return Err(ServeError::Unfinished),
            Content::Switch(serve)
                if is_tunnel || self.head.offers(self.input.used(head), response.headers()) =>
            {
                output.push_switch(response);
                return Ok(Rare::Switched(serve));
            }
            Content::Reader(source) if !is_tunnel && !status.is_informational() => {
                let persistence = output
                    .push_reader(&self.link, response, *source, requested)
                    .map_err(|error| match error {
                        StreamError::Write(error) => ServeError::Write(error),
                        StreamError::Body(error) => ServeError::Body(error),
                    })?;
                return Ok(Rare::Answered(persistence));
            }
            content if !is_tunnel && !status.is_informational() => {
                if let Some(body) = content.as_bytes() {
                    let persistence = output.push(&self.link, response, body, requested);
                    return persistence.map(Rare::Answered).map_err(ServeError::Write);
                }
            }
            _ => {}
        }
        // A switch that nobody asked for, or an answer that the peer would take for one.
        let response = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
        let persistence = output.push(&self.link, &response, b"", requested);
        persistence.map(Rare::Answered).map_err(ServeError::Write)
    }

    /// Ends the connection after an answer that said so.
    fn close(&self) -> Outcome {
        // Who asked for the end sends no more.
        let is_asked = self.head.persistence() == Persistence::Close;
        let farewell = match is_asked && self.body.is_ended() && self.input.unused().is_empty() {
            true => Farewell::AtOnce,
            false => Farewell::Linger,
        };
        Outcome::Ended(ConnectionEnd::ServerClosed, farewell)
    }

    /// Throws away what is left of a body whose request was answered.
    #[inline(never)]
    fn drain(&mut self) -> Result<Option<Outcome>, ServeError> {
        self.send()?;
        self.input.make_room_behind(0);
        let (_, room, buffered) = self.input.split(0);
        self.body.resume(buffered);
        let mut incoming = Incoming {
            room,
            body: &mut self.body,
            output: &self.output,
            link: &self.link,
        };
        let result = incoming.skip(Instant::now() + self.link.config.drain_timeout);
        self.input.consume(0, self.body.position());
        self.body.finish();
        match result {
            Ok(()) => Ok(None),
            // The answer said that the connection lives on, but it was whole, and a peer must live with an end.
            Err(_) => Ok(Some(Outcome::Ended(
                ConnectionEnd::ServerClosed,
                Farewell::Linger,
            ))),
        }
    }

    /// Answers that the input cannot be taken.
    #[cold]
    fn refuse(&mut self, refusal: Refusal) -> Result<Outcome, ServeError> {
        // What was refused may well be a HEAD request, and then a body would be too much.
        let method = match self.input.unused().starts_with(b"HEAD ") {
            true => Method::HEAD,
            false => Method::GET,
        };
        let response = Response::text(refusal.reason()).with_status(refusal.status());
        self.push_last(&response, &method)?;
        self.observe(None, Duration::ZERO);
        Ok(Outcome::Ended(
            ConnectionEnd::Refused(refusal),
            Farewell::Linger,
        ))
    }

    /// Answers a request whose handler panicked.
    #[cold]
    fn panicked(&mut self) -> Result<Outcome, ServeError> {
        if !self.output.get_mut().is_ready() {
            return Err(ServeError::Unfinished);
        }
        let response =
            Response::text("internal error").with_status(StatusCode::INTERNAL_SERVER_ERROR);
        let method = self.head.method().clone();
        self.push_last(&response, &method)?;
        self.observe(None, Duration::ZERO);
        self.send()?;
        Ok(Outcome::Ended(ConnectionEnd::Panicked, Farewell::Linger))
    }

    fn push_last(&mut self, response: &Response, method: &Method) -> Result<(), ServeError> {
        let requested = Requested {
            method,
            version: Version::HTTP_11,
            persistence: Persistence::Close,
        };
        let body = response.content().as_bytes().unwrap_or_default();
        let output = self.output.get_mut();
        output
            .push(&self.link, response, body, requested)
            .map(drop)
            .map_err(ServeError::Write)
    }

    /// Writes all answers.
    #[inline]
    fn send(&mut self) -> Result<(), ServeError> {
        self.output
            .get_mut()
            .send(&self.link)
            .map_err(ServeError::Write)
    }

    /// Tells the observer of the answer that was added last.
    #[cold]
    fn observe(&mut self, head: Option<Range<usize>>, duration: Duration) {
        let Some(observer) = self.link.observer else {
            return;
        };
        let (status, sent) = self.output.get_mut().last();
        observer.answered(&Answered {
            peer: self.link.stream.peer(),
            request: head.map(|head| (&self.head, self.input.used(head))),
            status,
            received: self.body.received(),
            sent,
            time: (self.link.clock)(),
            duration,
        });
    }
}

/// What became of an answer that is not common.
enum Rare {
    Answered(Persistence),
    Switched(Box<dyn FnOnce(Upgraded)>),
}

/// Reads and discards what the peer still sends: closing a socket with unread input resets the connection, and the peer would
/// lose the last answer.
fn linger(stream: &dyn AnyConnection, config: &Config) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    stream.set_read_deadline(Instant::now().checked_add(config.drain_timeout));
    // By time alone: clients that send all of a large body before they look for an answer would lose it to a limit of bytes.
    let mut buffer = vec![0; LINGER_BYTES];
    while let Ok(1..) = stream.read(&mut buffer) {}
}

/// The time to a few milliseconds, which is enough for a `Date` and costs a fifth of the precise one.
#[cfg(target_os = "linux")]
pub(super) fn rough_time() -> SystemTime {
    use rustix::time::{ClockId, clock_gettime};
    let now = Duration::try_from(clock_gettime(ClockId::RealtimeCoarse));
    SystemTime::UNIX_EPOCH + now.unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn rough_time() -> SystemTime {
    SystemTime::now()
}

/// What is read at once of what is thrown away.
const LINGER_BYTES: usize = 16 * 1024;

/// When this much is to be written it is, even if there are more requests to answer.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests;

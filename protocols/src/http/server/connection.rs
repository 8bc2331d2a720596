//! One connection: read, answer all that was read, write, again.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use ::http::{Method, StatusCode, Version};

use super::body_state::BodyState;
use super::handler::Handler;
use super::incoming::Incoming;
use super::input::Input;
use super::link::{AnyConnection, Link, is_timeout};
use super::observer::Answered;
use super::open::Open;
use super::output::{Output, StreamError};
use super::upgraded::Upgraded;
use crate::http::error::{ConnectionEnd, Refusal, ServeError};
use crate::http::request::{MadeParts, Request};
use crate::http::response::{Content, Response};
use crate::http::wire::{BodyLength, HeadParser, Parsed, Persistence, RequestHead, Requested};
use crate::is_cancel;

/// The state of a connection between two reads.
pub(super) struct Connection<'a> {
    link: Link<'a>,
    input: Input,
    parser: HeadParser,
    head: RequestHead,
    /// A head is incomplete, and its time is running.
    is_head_timed: bool,
    /// The head of a request that has no answer yet: a panic must make one. Behind an answer another would be taken for the next
    /// request's, so this is empty then.
    owed: Range<usize>,
    body: BodyState,
    /// Room for a body that comes in faster than the input has; empty between requests.
    large: Vec<u8>,
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

/// Why no further request is answered. In a box, so that what every request returns is small.
struct Stop(Box<Result<Outcome, ServeError>>);

impl From<Outcome> for Stop {
    #[cold]
    fn from(outcome: Outcome) -> Self {
        Self(Box::new(Ok(outcome)))
    }
}

impl From<ServeError> for Stop {
    #[cold]
    fn from(error: ServeError) -> Self {
        Self(Box::new(Err(error)))
    }
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
    let stream = link.stream;
    stream.limit_read(Some(link.config.idle_timeout));
    stream.limit_write(Some(link.config.write_timeout));
    let outcome = Connection::new(link).serve(&open, handler);
    if let Err(ServeError::Write(_) | ServeError::Body(_) | ServeError::Unfinished) = &outcome {
        // The peer must not take what it has for the whole, nor keep the rest in the system's memory.
        stream.abort();
    }
    match outcome? {
        Outcome::Ended(end, farewell) => {
            if farewell == Farewell::Linger {
                link.linger();
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
            owed: 0..0,
            body: BodyState::new(),
            large: Vec::new(),
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
        // Once for all requests, since a panic ends the connection anyway; a frame a batch would lie between each wait and its caller.
        let mut served = catch_unwind(AssertUnwindSafe(|| self.serve_requests(open, handler)));
        let stop = loop {
            match served {
                Ok(stop) => break stop,
                Err(payload) if is_cancel(&*payload) => {
                    if self.output.get_mut().is_midway() {
                        // As after an error: the peer must not take what it has for the whole.
                        self.link.stream.abort();
                    }
                    resume_unwind(payload)
                }
                Err(payload) => {
                    // Its destructor may panic too, and so may the observer, which is told of the answer.
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                    served = catch_unwind(AssertUnwindSafe(|| self.panicked()));
                }
            }
        };
        let outcome = *stop.0;
        let is_broken = matches!(outcome, Err(ServeError::Body(_) | ServeError::Unfinished));
        let is_unseen = is_broken && self.output.get_mut().break_off();
        let sent = self.send();
        if is_unseen && sent.is_ok() {
            // The answers before it are whole, and what comes now would take them away.
            self.link.linger();
        }
        outcome.and_then(|outcome| sent.map(|()| outcome))
    }

    /// Answers requests until one is the last.
    fn serve_requests<H: Handler + ?Sized>(
        &mut self,
        open: &Open<dyn AnyConnection>,
        handler: &H,
    ) -> Stop {
        loop {
            if let Err(stop) = self.fill(open).and_then(|()| self.answer_all(handler)) {
                return stop;
            }
        }
    }

    /// Waits for more input.
    #[inline]
    fn fill(&mut self, open: &Open<dyn AnyConnection>) -> Result<(), Stop> {
        let is_idle = self.input.unused().is_empty();
        if is_idle && self.link.is_stopping.get() {
            return Err(Outcome::Ended(ConnectionEnd::Idle, Farewell::Linger).into());
        }
        if !is_idle && !self.is_head_timed {
            self.is_head_timed = true;
            let end = Instant::now().checked_add(self.link.config.head_timeout);
            self.link.stream.set_read_deadline(end);
        }
        open.is_idle.set(is_idle);
        let result = self.input.fill(&self.link);
        open.is_idle.set(false);
        let was_stopped = is_idle && self.link.is_stopping.get();
        Err(match result {
            Ok(1..) => return Ok(()),
            Ok(0) if is_idle => Outcome::Ended(ConnectionEnd::PeerClosed, Farewell::AtOnce).into(),
            // Half of the stream is open, so the peer may still be there to read it.
            Ok(0) => self.refuse(Refusal::bad_request("the head is cut short")),
            Err(_) if was_stopped => Outcome::Ended(ConnectionEnd::Idle, Farewell::AtOnce).into(),
            Err(error) if !is_timeout(&error) => ServeError::Read(error).into(),
            Err(_) if is_idle => Outcome::Ended(ConnectionEnd::Idle, Farewell::Linger).into(),
            Err(_) => {
                let reason = "the head came too slowly";
                self.refuse(Refusal::new(StatusCode::REQUEST_TIMEOUT, reason))
            }
        })
    }

    /// Answers every request whose head is in the input and writes the answers; more input is needed then.
    fn answer_all<H: Handler + ?Sized>(&mut self, handler: &H) -> Result<(), Stop> {
        let config = self.link.config;
        loop {
            self.output.get_mut().date.at((self.link.clock)());
            for _ in 0..config.pipelined_max {
                let unused = self.input.unused();
                if unused.is_empty() {
                    return Ok(self.send()?);
                }
                match self.parser.parse(unused, config, &mut self.head) {
                    Parsed::Complete(head_bytes) => self.answer(head_bytes, handler)?,
                    Parsed::NeedMore => return Ok(self.send()?),
                    Parsed::Refused(refusal) => return Err(self.refuse(refusal)),
                }
                if self.output.get_mut().len() >= OUTPUT_BYTES_MAX {
                    break;
                }
            }
            self.send()?;
        }
    }

    /// Has the request whose head was parsed answered and takes it from the input.
    #[inline]
    fn answer<H: Handler + ?Sized>(&mut self, head_bytes: usize, handler: &H) -> Result<(), Stop> {
        if self.is_head_timed {
            self.is_head_timed = false;
            self.link.stream.set_read_deadline(None);
        }
        let has_body = self.head.body() != BodyLength::Known(0);
        if has_body {
            self.input.make_room_behind(head_bytes);
        }
        self.requests_left -= 1;
        let persistence = match self.requests_left == 0 {
            true => Persistence::Close,
            false => self.head.persistence(),
        };
        let began = (self.link.observer).map(|_| (Instant::now(), (self.link.clock)()));

        let head_start = self.input.start();
        let head = head_start..head_start + head_bytes;
        self.owed = head.clone();
        let (bytes, room, buffered) = self.input.split(head_bytes);
        self.body.begin(&self.head, buffered, self.link.config);
        let incoming = Incoming {
            room,
            large: &mut self.large,
            body: &mut self.body,
            output: &self.output,
            link: &self.link,
        };
        let mut request = Request::new(&self.head, bytes, &self.made, incoming, persistence);
        let mut response = handler.handle(&mut request);
        let received = request.received();
        request.skip_buffered_body();

        self.input
            .consume(head_bytes, self.body.position(&self.large));
        let result = self.respond(&mut response, persistence, &head);
        self.owed = 0..0;
        if let Some((began, time)) = began {
            let is_whole = !matches!(&result, Err(Stop(outcome)) if outcome.is_err());
            self.observe(Some(head), received, time, began.elapsed(), is_whole);
        }
        result?;
        // Not with the next request: until then an idle connection would keep it.
        self.made.reset();
        match has_body {
            true => self.end_body(),
            false => Ok(()),
        }
    }

    /// Makes sure that the next request is read behind this one's body.
    #[inline(never)]
    fn end_body(&mut self) -> Result<(), Stop> {
        self.take_surplus();
        if !self.body.is_ended() {
            return self.drain();
        }
        self.body.finish();
        Ok(())
    }

    /// Answers with what the handler returned.
    #[inline]
    fn respond(
        &mut self,
        response: &mut Response,
        persistence: Persistence,
        head: &Range<usize>,
    ) -> Result<(), Stop> {
        // The server may have been stopped while the handler ran.
        let is_kept =
            (self.body.is_ended() || self.body.can_be_drained()) && !self.link.is_stopping.get();
        let persistence = match is_kept {
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
            _ => self.respond_rarely(response, persistence, head)?,
        };
        match kept {
            Persistence::Close => Err(self.close()),
            _ => Ok(()),
        }
    }

    /// Answers with what is not a body in memory, and in the place of what cannot be answered.
    #[inline(never)]
    fn respond_rarely(
        &mut self,
        response: &mut Response,
        persistence: Persistence,
        head: &Range<usize>,
    ) -> Result<Persistence, Stop> {
        let requested = Requested {
            method: self.head.method(),
            version: self.head.version(),
            persistence,
        };
        let status = response.status();
        let is_tunnel = *requested.method == Method::CONNECT && status.is_success();
        let may_switch = self.may_switch(response, is_tunnel, head);
        let output = self.output.get_mut();
        let kept = match response.take_content() {
            Content::Sent if let Some(persistence) = output.end() => {
                // The handler may have passed over a write that failed: no further request is to be handled for nothing.
                output.check_unbroken().map_err(ServeError::Write)?;
                return Ok(persistence);
            }
            _ if !output.is_ready() => return Err(ServeError::Unfinished.into()),
            Content::Switch(serve) if may_switch => {
                output.push_switch(response);
                return Err(Outcome::Switch(serve, self.input.unused().to_vec()).into());
            }
            Content::Reader(source) if !is_tunnel && !status.is_informational() => output
                .push_reader(&self.link, response, *source, requested)
                .map_err(|error| match error {
                    StreamError::Write(error) => ServeError::Write(error),
                    StreamError::Body(error) => ServeError::Body(error),
                }),
            content => {
                let answer = match content.as_bytes() {
                    Some(body) if !is_tunnel && !status.is_informational() => {
                        output.push(&self.link, response, body, requested)
                    }
                    // A switch that nobody asked for, or an answer that the peer would take for one.
                    _ => {
                        let response = Response::new(StatusCode::INTERNAL_SERVER_ERROR);
                        output.push(&self.link, &response, b"", requested)
                    }
                };
                answer.map_err(ServeError::Write)
            }
        };
        Ok(kept?)
    }

    /// Returns whether the connection may go on in another protocol. Behind a body nobody could tell where that begins.
    fn may_switch(&self, response: &Response, is_tunnel: bool, head: &Range<usize>) -> bool {
        match is_tunnel {
            true => self.head.body() == BodyLength::Known(0),
            false => {
                response.status() == StatusCode::SWITCHING_PROTOCOLS
                    && (self.head).offers(self.input.used(head.clone()), response.headers())
            }
        }
    }

    /// Ends the connection after an answer that said so.
    #[cold]
    fn close(&self) -> Stop {
        // Who asked for the end sends no more.
        let is_asked = self.head.persistence() == Persistence::Close;
        let farewell = match is_asked && self.body.is_ended() && self.is_all_used() {
            true => Farewell::AtOnce,
            false => Farewell::Linger,
        };
        Outcome::Ended(ConnectionEnd::ServerClosed, farewell).into()
    }

    fn is_all_used(&self) -> bool {
        self.input.unused().is_empty() && self.body.surplus(&self.large).is_empty()
    }

    /// Gives the larger room back. What stands in it behind the body is the input of later requests.
    fn take_surplus(&mut self) {
        if !self.large.is_empty() {
            let large = std::mem::take(&mut self.large);
            self.input.append(self.body.surplus(&large));
        }
    }

    /// Throws away what is left of a body whose request was answered.
    #[inline(never)]
    fn drain(&mut self) -> Result<(), Stop> {
        self.send()?;
        self.input.make_room_behind(0);
        let (_, room, buffered) = self.input.split(0);
        self.body.resume(buffered);
        let mut incoming = Incoming {
            room,
            large: &mut self.large,
            body: &mut self.body,
            output: &self.output,
            link: &self.link,
        };
        let deadline = Instant::now().checked_add(self.link.config.drain_timeout);
        let result = incoming.skip(deadline);
        self.input.consume(0, self.body.position(&self.large));
        self.take_surplus();
        self.body.finish();
        // The answer said that the connection lives on, but it was whole, and a peer must live with an end.
        result.map_err(|_| Outcome::Ended(ConnectionEnd::ServerClosed, Farewell::Linger).into())
    }

    /// Answers that the input cannot be taken.
    #[cold]
    fn refuse(&mut self, refusal: Refusal) -> Stop {
        // What was refused may well be a HEAD request, and then a body would be too much.
        let method = match self.input.unused().starts_with(b"HEAD ") {
            true => Method::HEAD,
            false => Method::GET,
        };
        let response = Response::text(refusal.reason()).with_status(refusal.status());
        self.answer_last(&response, &method, None, ConnectionEnd::Refused(refusal))
    }

    /// Answers a request whose handler panicked. Only the panic hook tells of what panicked when no answer was owed, such as the
    /// observer.
    #[cold]
    fn panicked(&mut self) -> Stop {
        if !self.output.get_mut().is_ready() {
            return ServeError::Unfinished.into();
        }
        let head = std::mem::replace(&mut self.owed, 0..0);
        if head.is_empty() {
            return Outcome::Ended(ConnectionEnd::Panicked, Farewell::Linger).into();
        }
        let response =
            Response::text("internal error").with_status(StatusCode::INTERNAL_SERVER_ERROR);
        let method = self.head.method().clone();
        self.answer_last(&response, &method, Some(head), ConnectionEnd::Panicked)
    }

    fn answer_last(
        &mut self,
        response: &Response,
        method: &Method,
        head: Option<Range<usize>>,
        end: ConnectionEnd,
    ) -> Stop {
        let requested = Requested {
            method,
            version: Version::HTTP_11,
            persistence: Persistence::Close,
        };
        let body = response.content().as_bytes().unwrap_or_default();
        let output = self.output.get_mut();
        if let Err(error) = output.push(&self.link, response, body, requested) {
            return ServeError::Write(error).into();
        }
        let (received, now) = (self.body.received(), (self.link.clock)());
        self.observe(head, received, now, Duration::ZERO, true);
        Outcome::Ended(end, Farewell::Linger).into()
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
    fn observe(
        &mut self,
        head: Option<Range<usize>>,
        received: u64,
        time: SystemTime,
        duration: Duration,
        is_whole: bool,
    ) {
        let Some(observer) = self.link.observer else {
            return;
        };
        let (status, sent) = self.output.get_mut().last();
        observer.answered(&Answered {
            peer: self.link.peer,
            request: head.map(|head| (&self.head, self.input.used(head))),
            status,
            received,
            sent,
            time,
            duration,
            is_whole,
        });
    }
}

/// When this much is to be written it is, even if there are more requests to answer.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod hardening;
#[cfg(test)]
mod tests;

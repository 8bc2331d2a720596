//! One connection: read, answer all that was read, write, again.

use std::cell::RefCell;
use std::error::Error;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use ::http::StatusCode;

use super::body_state::BodyState;
use super::handler::Handler;
use super::incoming::Incoming;
use super::input::Input;
use super::link::{AnyConnection, Link, is_timeout};
use super::observer::Handled;
use super::open::Open;
use super::output::Output;
use super::upgraded::Upgraded;
use crate::http::error::{ConnectionEnd, Refusal, ServeError};
use crate::http::request::{MadeParts, Request};
use crate::http::wire::{BodyLength, HeadParser, Parsed, Persistence, RequestHead};
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

impl Stop {
    fn error(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_ref().as_ref().err().map(|error| error as _)
    }
}

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
        let sent = self.send();
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
            (self.link.heads.borrow_mut()).set_time((self.link.clock)());
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
        let began = (self.link.observer).map(|_| (Instant::now(), self.time()));

        let head_start = self.input.start();
        let head = head_start..head_start + head_bytes;
        self.owed = head.clone();
        let (bytes, room, buffered) = self.input.split(head_bytes);
        if has_body {
            self.body.begin(&self.head, buffered, self.link.config);
        }
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

        match has_body {
            true => (self.input).consume(head_bytes, self.body.position(&self.large)),
            false => self.input.skip(head_bytes),
        }
        let result = self.respond(&mut response, persistence, &head);
        self.owed = 0..0;
        if let Some((began, time)) = began {
            let broken = result.as_ref().err().and_then(Stop::error);
            // What broke an answer off is often no more than the end of what the handler has met.
            let started = self.output.get_mut().take_error();
            let returned = response.body().error();
            let told = returned.or_else(|| started.as_deref().map(|error| error as _));
            let handled = Handled {
                received,
                time,
                duration: began.elapsed(),
                error: told.or(broken),
                is_whole: broken.is_none(),
            };
            self.observe(Some(head), handled);
        }
        response.free();
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

    fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + (self.link.clock)()
    }

    /// Writes all answers.
    #[inline]
    fn send(&mut self) -> Result<(), ServeError> {
        self.output
            .get_mut()
            .send(&self.link)
            .map_err(ServeError::Write)
    }
}

/// When this much is to be written it is, even if there are more requests to answer.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

mod answer;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod hardening;
#[cfg(test)]
mod tests;

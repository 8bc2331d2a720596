//! What is sent for a request: the handler's answer, or what must stand in its place.

use std::ops::Range;
use std::time::Duration;

use ::http::{Method, StatusCode, Version};

use super::{Connection, Farewell, Outcome, Stop};
use crate::http::body::Streamed;
use crate::http::error::{ConnectionEnd, Refusal, ServeError};
use crate::http::response::Response;
use crate::http::server::observer::{Answered, Handled};
use crate::http::server::output::StreamError;
use crate::http::wire::{BodyLength, Persistence, Requested};

impl Connection<'_> {
    /// Answers with what the handler returned.
    #[inline]
    pub(super) fn respond(
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
        let kept = match response.body().as_bytes() {
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
        let is_sent = response.body().is_sent();
        if is_sent && let Some(persistence) = output.end() {
            // The handler may have passed over a write that failed: no further request is to be handled for nothing.
            output.check_unbroken().map_err(ServeError::Write)?;
            return Ok(persistence);
        }
        if !output.take_back() {
            return Err(ServeError::Unfinished.into());
        }
        let may_have_body = !is_tunnel && !status.is_informational();
        let streamed = response.body_mut().take_streamed();
        match (streamed, response.body().as_bytes()) {
            (Some(Streamed::Switch(serve)), _) if may_switch => {
                output.push_switch(&self.link, response);
                return Err(Outcome::Switch(serve, self.input.unused().to_vec()).into());
            }
            (Some(Streamed::Reader(source)), _) if may_have_body => {
                match output.push_reader(&self.link, response, source, requested) {
                    Ok(kept) => return Ok(kept),
                    Err(StreamError::Body(error)) if output.take_back() => {
                        // It went with the head that was taken back.
                        let own = output.take_error();
                        *response = Response::internal_error(own.unwrap_or_else(|| error.into()));
                    }
                    Err(StreamError::Body(error)) => return Err(ServeError::Body(error).into()),
                    Err(StreamError::Write(error)) => return Err(ServeError::Write(error).into()),
                }
            }
            (None, Some(_)) if may_have_body => {}
            // The peer would take it for what it is not.
            (streamed, _) => {
                let reason = match streamed {
                    Some(Streamed::Switch(_)) => "the request does not offer this switch",
                    _ if is_sent => "the response was finished for another request",
                    _ if is_tunnel => "only Response::tunnel opens a tunnel",
                    _ => "an informational response is no answer",
                };
                let own = response.body_mut().take_error();
                *response = Response::internal_error(own.unwrap_or_else(|| reason.into()));
            }
        }
        let body = response.body().as_bytes().unwrap_or_default();
        let pushed = output.push(&self.link, response, body, requested);
        Ok(pushed.map_err(ServeError::Write)?)
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

    /// Answers that the input cannot be taken.
    #[cold]
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Stop {
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
    pub(super) fn panicked(&mut self) -> Stop {
        if !self.output.get_mut().take_back() {
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
        let body = response.body().as_bytes().unwrap_or_default();
        let output = self.output.get_mut();
        if let Err(error) = output.push(&self.link, response, body, requested) {
            return ServeError::Write(error).into();
        }
        let handled = Handled {
            received: self.body.received(),
            time: self.time(),
            duration: Duration::ZERO,
            error: None,
            is_whole: true,
        };
        self.observe(head, handled);
        Outcome::Ended(end, Farewell::Linger).into()
    }

    /// Tells the observer of the answer that was added last.
    #[cold]
    pub(super) fn observe(&mut self, head: Option<Range<usize>>, handled: Handled<'_>) {
        let Some(observer) = self.link.observer else {
            return;
        };
        let (status, sent) = self.output.get_mut().last();
        observer.answered(&Answered {
            peer: self.link.peer,
            request: head.map(|head| (&self.head, self.input.used(head))),
            status,
            sent,
            handled,
        });
    }
}

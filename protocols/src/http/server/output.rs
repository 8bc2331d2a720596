//! Answers that are not written yet, and a response that is being written.

use std::error::Error;
use std::io::{self, IoSlice, Write};

use ::http::{HeaderMap, StatusCode};

use super::input::RETAINED_BYTES;
use super::link::Link;
use crate::http::body::Source;
use crate::http::response::Response;
use crate::http::wire::{Coding, Persistence, Requested, encode_informational, encode_switch};

/// What goes to the peer, in order; one for all answers of a connection.
#[derive(Debug)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    progress: Progress,
    /// Of the answer that was added last.
    status: StatusCode,
    sent: u64,
    /// Where the response that was started begins, if nothing of it is written yet.
    started_at: Option<usize>,
    error: Option<Box<dyn Error + Send + Sync>>,
    /// A write was begun and did not come to its end, so nobody knows what the peer has.
    is_broken: bool,
}

/// How far the response to the present request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing of it was sent.
    Nothing,
    /// Its head was, and the handler writes the body.
    Started {
        coding: Coding,
        /// How many bytes of a declared length are missing.
        left: Option<u64>,
        persistence: Persistence,
    },
    /// All of it was.
    Finished(Persistence),
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            progress: Progress::Nothing,
            status: StatusCode::OK,
            sent: 0,
            started_at: None,
            error: None,
            is_broken: false,
        }
    }

    /// Returns how much is to be written.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether nothing of the present response was sent.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.progress == Progress::Nothing
    }

    /// Returns status and body length of the answer that was added last.
    pub(super) fn last(&self) -> (StatusCode, u64) {
        (self.status, self.sent)
    }

    /// Returns whether the handler writes the body of its response.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.progress, Progress::Started { .. })
    }

    /// Returns whether the peer may have got a part of an answer and not the rest.
    pub(super) fn is_midway(&self) -> bool {
        self.is_streaming() && self.started_at.is_none() || self.is_broken
    }

    /// Returns the error that the response was made of that the handler has started last.
    pub(super) fn take_error(&mut self) -> Option<Box<dyn Error + Send + Sync>> {
        self.error.take()
    }

    /// Fails if a write did not come to its end.
    pub(super) fn check_unbroken(&self) -> io::Result<()> {
        match self.is_broken {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }

    /// Fails if a response was started.
    pub(crate) fn check_not_started(&self) -> io::Result<()> {
        if self.progress == Progress::Nothing {
            return Ok(());
        }
        let reason = "a response was started before";
        Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
    }

    /// Adds a response whose body is in memory and returns what holds for the connection after it.
    #[inline]
    pub(super) fn push(
        &mut self,
        link: &Link<'_>,
        response: &Response,
        body: &[u8],
        requested: Requested<'_>,
    ) -> io::Result<Persistence> {
        (self.status, self.sent) = (response.status(), body.len() as u64);
        if body.len() < COPIED_BYTES_MAX
            && (link.heads.borrow()).repeat(&mut self.bytes, response, self.sent, requested)
        {
            self.bytes.extend_from_slice(body);
            return Ok(requested.persistence);
        }
        self.push_any(link, response, body, requested)
    }

    /// Adds what is not like the answer before.
    #[inline(never)]
    fn push_any(
        &mut self,
        link: &Link<'_>,
        response: &Response,
        body: &[u8],
        requested: Requested<'_>,
    ) -> io::Result<Persistence> {
        let length = Some(body.len() as u64);
        let (coding, persistence) = self.push_head(link, response, length, requested);
        if coding == Coding::Omit {
            self.sent = 0;
        } else if body.len() < COPIED_BYTES_MAX {
            self.bytes.extend_from_slice(body);
        } else {
            self.send_with(link, body, b"")?;
        }
        Ok(persistence)
    }

    fn push_head(
        &mut self,
        link: &Link<'_>,
        response: &Response,
        length: Option<u64>,
        requested: Requested<'_>,
    ) -> (Coding, Persistence) {
        (link.heads.borrow_mut()).encode(&mut self.bytes, response, length, requested)
    }

    /// Adds a response whose body its reader makes. After an error of the reader [`Self::take_back`] tells what can be done.
    pub(super) fn push_reader(
        &mut self,
        link: &Link<'_>,
        response: &mut Response,
        mut source: Source,
        requested: Requested<'_>,
    ) -> Result<Persistence, StreamError> {
        self.start(link, response, source.length, requested);
        if let Progress::Started { coding, left, .. } = self.progress
            && coding != Coding::Omit
        {
            let mut left = left.unwrap_or(u64::MAX);
            let mut buffer = vec![0; (READER_BYTES as u64).min(left) as usize];
            while left > 0 {
                let room = (buffer.len() as u64).min(left) as usize;
                let count = match source.reader.read(&mut buffer[..room]) {
                    Ok(0) => break,
                    Ok(count) => count.min(room),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(StreamError::Body(error)),
                };
                self.write(link, &buffer[..count])
                    .map_err(StreamError::Write)?;
                left -= count as u64;
            }
        }
        // Its destructor may panic, and then this answer must not look whole.
        drop(source);
        self.finish(None).map_err(StreamError::Body)?;
        Ok(self.end().unwrap_or(Persistence::Close))
    }

    /// Begins a response whose body is written piece by piece; a declared length must be kept.
    pub(crate) fn start(
        &mut self,
        link: &Link<'_>,
        response: &mut Response,
        length: Option<u64>,
        requested: Requested<'_>,
    ) {
        (self.status, self.sent) = (response.status(), 0);
        self.error = response.body_mut().take_error();
        self.started_at = Some(self.bytes.len());
        let (coding, persistence) = self.push_head(link, response, length, requested);
        self.progress = Progress::Started {
            coding,
            left: length.filter(|_| coding != Coding::Omit),
            persistence,
        };
    }

    /// Writes a piece of the body of the response that was started, with all that is to be written before it.
    pub(super) fn write(&mut self, link: &Link<'_>, piece: &[u8]) -> io::Result<()> {
        let Progress::Started { coding, left, .. } = &mut self.progress else {
            return Err(io::Error::other("no response was started"));
        };
        if let Some(left) = left {
            *left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
                let reason = "the body is longer than its Content-Length";
                io::Error::new(io::ErrorKind::InvalidInput, reason)
            })?;
        }
        if piece.is_empty() || *coding == Coding::Omit {
            return Ok(());
        }
        self.sent += piece.len() as u64;
        if *coding == Coding::Plain {
            return self.send_with(link, piece, b"");
        }
        write!(self.bytes, "{:x}\r\n", piece.len())?;
        self.send_with(link, piece, b"\r\n")
    }

    /// Ends the response that was started.
    pub(super) fn finish(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        let Progress::Started {
            coding,
            left,
            persistence,
        } = self.progress
        else {
            return Err(io::Error::other("no response was started"));
        };
        if let Some(left @ 1..) = left {
            let reason = format!("the body is {left} bytes shorter than its Content-Length");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        if coding == Coding::Chunked {
            self.bytes.extend_from_slice(b"0\r\n");
            for (name, value) in trailers.into_iter().flatten() {
                self.bytes.extend_from_slice(name.as_str().as_bytes());
                self.bytes.extend_from_slice(b": ");
                self.bytes.extend_from_slice(value.as_bytes());
                self.bytes.extend_from_slice(b"\r\n");
            }
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.progress = Progress::Finished(persistence);
        Ok(())
    }

    /// Returns what holds for the connection after a response that the handler wrote and finished, and is ready for the next.
    #[inline]
    pub(super) fn end(&mut self) -> Option<Persistence> {
        match self.progress {
            Progress::Finished(persistence) => {
                self.progress = Progress::Nothing;
                self.started_at = None;
                Some(persistence)
            }
            _ => None,
        }
    }

    /// Takes back a response that was started, unless some of it is written. Returns whether there is none now, so that another can
    /// be sent in its place.
    pub(super) fn take_back(&mut self) -> bool {
        if !self.is_broken
            && let Some(start) = self.started_at.take()
        {
            self.bytes.truncate(start);
            self.progress = Progress::Nothing;
        }
        self.is_ready()
    }

    /// Adds an informational response, unless the final one was begun.
    pub(crate) fn push_informational(&mut self, response: &Response) {
        encode_informational(&mut self.bytes, response);
    }

    /// Tells the peer to send the body it waits with.
    pub(super) fn push_continue(&mut self) {
        self.push_informational(&Response::new(StatusCode::CONTINUE));
    }

    /// Adds the head of the response that hands the connection over.
    pub(super) fn push_switch(&mut self, link: &Link<'_>, response: &Response) {
        (self.status, self.sent) = (response.status(), 0);
        encode_switch(&mut self.bytes, response, link.heads.borrow().date_line());
    }

    /// Writes all that is to be written.
    #[inline]
    pub(crate) fn send(&mut self, link: &Link<'_>) -> io::Result<()> {
        if self.bytes.is_empty() && !self.is_broken {
            return Ok(());
        }
        self.begin_write()?;
        link.write(&self.bytes)?;
        self.end_write();
        Ok(())
    }

    /// Writes all that is to be written with a `body`, which is not empty, and its `end` behind it; they are not copied.
    fn send_with(&mut self, link: &Link<'_>, body: &[u8], end: &[u8]) -> io::Result<()> {
        // Empty ones would make one write of two out of a plain one.
        let first = usize::from(self.bytes.is_empty());
        let used = if end.is_empty() { 2 } else { 3 };
        self.begin_write()?;
        let mut buffers = [&self.bytes, body, end].map(IoSlice::new);
        link.write_vectored(&mut buffers[first..used])?;
        self.end_write();
        Ok(())
    }

    /// Until the end of the write the output is broken: it stays so if the write fails, or if a cancel unwinds it.
    #[inline]
    fn begin_write(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.is_broken, true) {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }

    #[inline]
    fn end_write(&mut self) {
        self.is_broken = false;
        self.bytes.clear();
        self.started_at = None;
        if self.bytes.capacity() > RETAINED_BYTES {
            self.bytes = Vec::new();
        }
    }
}

/// Why a response could not be written to its end.
#[derive(Debug)]
pub(super) enum StreamError {
    Write(io::Error),
    Body(io::Error),
}

/// From this size on copying a body costs more than naming it in the write.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// What is read at once from the reader of a body.
const READER_BYTES: usize = 32 * 1024;

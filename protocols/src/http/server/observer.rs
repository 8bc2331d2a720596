//! What a server tells of its work.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::{Method, StatusCode, Version};

use crate::assert_no_switchpoints;
use crate::http::error::{ConnectionEnd, ServeError};
use crate::http::wire::{DateLine, RequestHead};

/// Is told what a server does: for access logs, metrics, and the like.
///
/// It is shared by all hubs of the server and called on the fibers of the connections, between reading and writing: what it does
/// they wait for. A server without one spends nothing on it.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use kapok::http::{Answered, Observer, Server};
///
/// #[derive(Default)]
/// struct Errors(AtomicU64);
///
/// impl Observer for Errors {
///     fn answered(&self, answered: &Answered<'_>) {
///         if answered.status().is_server_error() {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let server = Server::new().observer(Errors::default());
/// ```
pub trait Observer: Send + Sync {
    /// A connection was accepted.
    fn opened(&self, peer: Option<SocketAddr>) {
        let _ = peer;
    }

    /// A request was answered, or refused. The answer may not be written yet.
    fn answered(&self, answered: &Answered<'_>) {
        let _ = answered;
    }

    /// A connection came to its end.
    fn closed(&self, peer: Option<SocketAddr>, end: &Result<ConnectionEnd, ServeError>) {
        let _ = (peer, end);
    }
}

/// One answer, as an [`Observer`] sees it.
#[derive(Debug)]
pub struct Answered<'a> {
    pub(super) peer: Option<SocketAddr>,
    /// The head with its bytes; a request that was refused has none that could be trusted.
    pub(super) request: Option<(&'a RequestHead, &'a [u8])>,
    pub(super) status: StatusCode,
    pub(super) sent: u64,
    pub(super) handled: Handled<'a>,
}

/// What is known of how a request was handled.
#[derive(Debug)]
pub(super) struct Handled<'a> {
    pub(super) received: u64,
    pub(super) time: SystemTime,
    pub(super) duration: Duration,
    pub(super) error: Option<&'a (dyn Error + 'static)>,
    pub(super) is_whole: bool,
}

impl<'a> Answered<'a> {
    /// Returns the other end's address, if it has one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the method; `None` if the request was refused, as for all that is known of it.
    #[must_use]
    pub fn method(&self) -> Option<&'a Method> {
        self.request.map(|(head, _)| head.method())
    }

    /// Returns the target as it was sent; `None` if the request was refused.
    #[must_use]
    pub fn target(&self) -> Option<&'a str> {
        self.request.map(|(head, bytes)| head.target(bytes))
    }

    /// Returns the version; `None` if the request was refused.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.request.map(|(head, _)| head.version())
    }

    /// Returns the value of the request's first header field with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.request
            .and_then(|(head, bytes)| head.value(bytes, name))
    }

    /// Returns the status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns how many bytes of the request's body were read by the handler.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.handled.received
    }

    /// Returns whether the answer was made to its end. One that was broken off, by its handler, its reader or the stream, is not whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.handled.is_whole
    }

    /// Returns what went wrong on this side: the error in a [`Response::internal_error`](crate::http::Response::internal_error), or the
    /// [`ServeError`] that broke the answer off. The panic hook, not this, tells of a panic.
    #[must_use]
    pub fn error(&self) -> Option<&'a (dyn Error + 'static)> {
        self.handled.error
    }

    /// Returns how many bytes the body of the answer has.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns when the request's head was complete, to some milliseconds.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.handled.time
    }

    /// Returns how long the handler took, with all waiting for the peer while it streamed.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.handled.duration
    }
}

/// Writes a line for each answer in the combined log format of Apache, with the handler's microseconds behind it, `broken off`
/// behind those of an answer that is not whole, and the error, with its causes, if one made the answer or broke it off.
///
/// # Examples
///
/// ```
/// use kapok::http::{AccessLog, Server};
///
/// let server = Server::new().observer(AccessLog::new(std::io::stderr()));
/// ```
///
/// Two lines:
///
/// ```text
/// 127.0.0.1 - - [21/Nov/2026:10:33:17 +0000] "GET /plaintext HTTP/1.1" 200 13 "-" "curl/7.88.1" 4
/// 127.0.0.1 - - [21/Nov/2026:10:33:18 +0000] "GET /books HTTP/1.1" 500 14 "-" "curl/7.88.1" 9 "No such file or directory (os error 2)"
/// ```
#[derive(Debug)]
pub struct AccessLog<W> {
    output: Mutex<Output<W>>,
}

#[derive(Debug)]
struct Output<W> {
    writer: W,
    line: String,
    date: DateLine,
}

impl<W: Write + Send> AccessLog<W> {
    /// Makes a log that writes to `writer`, with one call a line.
    ///
    /// The writer must not be one that switches fibers, such as a stream of `kapok::net`: all hubs share it. It is right for a file
    /// or for standard error. What goes wrong with writing is not told.
    pub fn new(writer: W) -> Self {
        let output = Output {
            writer,
            line: String::new(),
            date: DateLine::new(),
        };
        Self {
            output: Mutex::new(output),
        }
    }
}

impl<W: Write + Send> Observer for AccessLog<W> {
    fn answered(&self, answered: &Answered<'_>) {
        assert_no_switchpoints(|| {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            output.write(answered);
        });
    }
}

impl<W: Write> Output<W> {
    fn write(&mut self, answered: &Answered<'_>) {
        let Self { writer, line, date } = self;
        let date = date.at(answered.handled.time);
        let part = |from, to| String::from_utf8_lossy(&date[from..to]);
        line.clear();
        match answered.peer {
            Some(peer) => write!(line, "{}", peer.ip()),
            None => write!(line, "-"),
        }
        .and_then(|()| {
            let (day, month, year) = (part(11, 13), part(14, 17), part(18, 22));
            write!(line, " - - [{day}/{month}/{year}:{} +0000] ", part(23, 31))
        })
        .and_then(|()| match (answered.request, answered.version()) {
            (Some((head, bytes)), Some(version)) => {
                let target = head.target(bytes).as_bytes().escape_ascii();
                write!(line, "\"{} {target} {version:?}\"", head.method())
            }
            _ => write!(line, "\"-\""),
        })
        .and_then(|()| {
            let header = |name| answered.header(name).unwrap_or(b"-").escape_ascii();
            let end = if answered.handled.is_whole {
                ""
            } else {
                " broken off"
            };
            write!(
                line,
                " {} {} \"{}\" \"{}\" {}{end}",
                answered.status.as_u16(),
                answered.sent,
                header("referer"),
                header("user-agent"),
                answered.duration().as_micros()
            )
        })
        .and_then(|()| match answered.error() {
            Some(error) => write!(line, " \"{}\"", chain(error).escape_default()),
            None => Ok(()),
        })
        .unwrap_or_default();
        line.push('\n');
        // A log that is full must not keep the server from answering.
        let _ = writer.write_all(line.as_bytes());
    }
}

/// An error and its causes, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    // Whoever fails to print keeps nobody from an answer.
    let _ = write!(text, "{error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

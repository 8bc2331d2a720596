//! How a connection ends, and what goes wrong with it.

use std::error::Error;
use std::fmt;
use std::io;

use ::http::StatusCode;

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The peer ended the stream between requests. All were answered.
    PeerClosed,
    /// The peer sent nothing for longer than [`Config::idle_timeout`](crate::http::Config::idle_timeout), or the server stopped between requests.
    Idle,
    /// A request was refused, after those before it were answered.
    Refused(Refusal),
    /// The last answer said that the connection ends.
    ServerClosed,
    /// A handler panicked; its request was answered with 500. Or the observer panicked, after the answer.
    Panicked,
    /// The connection's fiber was cancelled, as at the end of a stop's grace. Only an [`Observer`](crate::http::Observer) sees this.
    Cut,
    /// The connection went on in another protocol, and that ended.
    Switched,
}

/// Why serving a connection failed.
///
/// A request the server refused is not among them: it got its answer, see [`ConnectionEnd::Refused`]. `Display` prints this
/// level only; the cause is behind [`source`](Error::source).
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// Reading from the peer failed. What it had sent of an unfinished request is lost.
    Read(io::Error),
    /// Writing to the peer failed, so it may have got a part of an answer or none. The handler ran.
    Write(io::Error),
    /// The reader that makes the body of a response failed after its first bytes, or gave some and fewer than it promised. The peer sees
    /// the body break off.
    Body(io::Error),
    /// The handler started a response and returned, or panicked, after some of it was written and before it was finished. The peer sees
    /// the body break off.
    Unfinished,
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Read(_) => "reading a request failed",
            Self::Write(_) => "writing a response failed",
            Self::Body(_) => "making the body of a response failed",
            Self::Unfinished => "the handler did not finish the response it had started",
        })
    }
}

impl Error for ServeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(cause) | Self::Write(cause) | Self::Body(cause) => Some(cause),
            Self::Unfinished => None,
        }
    }
}

impl From<ServeError> for io::Error {
    /// Gives the error of the stream or the reader itself.
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Read(cause) | ServeError::Write(cause) | ServeError::Body(cause) => cause,
            ServeError::Unfinished => Self::other(error),
        }
    }
}

/// Why the body of a request could not be read.
///
/// It turns into the [`Response`](crate::http::Response) that fits, so a handler that returns a `Result` needs nothing but `?`.
/// Whatever the handler answers, nothing of the connection is parsed after it. Reads through
/// [`BodyReader`](crate::http::BodyReader) give it inside of an [`io::Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// It is not chunked as it should be, or its trailers are wrong: 400 or 431.
    Malformed(Refusal),
    /// It is longer than allowed: 413.
    TooLong {
        /// How many bytes are allowed.
        limit: u64,
    },
    /// The peer ended the stream inside of it: 400, which it may still be there to read.
    Truncated,
    /// The peer sent it too slowly: 408.
    TimedOut,
    /// Reading from the peer failed: 400, which hardly gets through.
    Read(io::Error),
}

impl BodyError {
    /// Returns the status that fits.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(refusal) => refusal.status(),
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Truncated | Self::Read(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the same error for whoever reads again.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Malformed(refusal) => Self::Malformed(*refusal),
            Self::TooLong { limit } => Self::TooLong { limit: *limit },
            Self::Truncated => Self::Truncated,
            Self::TimedOut => Self::TimedOut,
            Self::Read(cause) => Self::Read(cause.kind().into()),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(refusal) => formatter.write_str(refusal.reason()),
            Self::TooLong { limit } => write!(formatter, "the body is longer than {limit} bytes"),
            Self::Truncated => formatter.write_str("the peer ended the stream inside the body"),
            Self::TimedOut => formatter.write_str("the peer sent the body too slowly"),
            Self::Read(_) => formatter.write_str("reading the body failed"),
        }
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<BodyError> for io::Error {
    /// Gives an error with the `BodyError` inside; its kind tells what it was.
    fn from(error: BodyError) -> Self {
        let kind = match &error {
            BodyError::Malformed(_) => io::ErrorKind::InvalidData,
            BodyError::TooLong { .. } => io::ErrorKind::FileTooLarge,
            BodyError::Truncated => io::ErrorKind::UnexpectedEof,
            BodyError::TimedOut => io::ErrorKind::TimedOut,
            BodyError::Read(cause) => cause.kind(),
        };
        Self::new(kind, error)
    }
}

/// A request the server did not take: the status it answered and why.
///
/// The peer gets the reason as the text of the answer; it never repeats what the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    reason: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }

    pub(super) const fn bad_request(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// Returns the status the peer was answered: 400, 408, 414, 417, 431, 501 or 505.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns a short phrase that says what was wrong.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "request refused with {}: {}",
            self.status.as_u16(),
            self.reason
        )
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stay_small() {
        assert!(size_of::<ServeError>() <= 16);
        assert!(size_of::<Refusal>() <= 24);
    }

    #[test]
    fn prints_one_level_and_keeps_the_cause() {
        let error = ServeError::Read(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(error.to_string(), "reading a request failed");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("timed out")
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn body_errors_travel_through_io_errors() {
        let error = io::Error::from(BodyError::TooLong { limit: 9 });
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "the body is longer than 9 bytes");
        let inner = error.downcast::<BodyError>().expect("it is inside");
        assert_eq!(inner.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn refusals_print_status_and_reason() {
        let refusal = Refusal::bad_request("a reason");
        assert_eq!(refusal.to_string(), "request refused with 400: a reason");
    }
}

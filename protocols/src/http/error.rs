//! What goes wrong with a connection.

use std::error::Error;
use std::fmt;
use std::io;

use ::http::StatusCode;

/// Why serving a connection failed.
///
/// A request the server refused is not among them: it got its answer, see [`ConnectionEnd::Refused`]. `Display` prints this
/// level only; the cause is behind [`source`](Error::source).
///
/// [`ConnectionEnd::Refused`]: crate::http::ConnectionEnd::Refused
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// Reading from the peer failed. What it had sent of an unfinished request is lost.
    Read(io::Error),
    /// The peer ended the stream inside a request. The handler never saw that request; those before it were answered.
    Truncated,
    /// Writing to the peer failed, so it may have got a part of an answer or none. The handler ran.
    Write(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Read(_) => "reading a request failed",
            Self::Truncated => "the peer ended the stream inside a request",
            Self::Write(_) => "writing a response failed",
        })
    }
}

impl Error for ServeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(cause) | Self::Write(cause) => Some(cause),
            Self::Truncated => None,
        }
    }
}

impl From<ServeError> for io::Error {
    /// Gives the error of the stream itself, or [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) for a request cut short.
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Read(cause) | ServeError::Write(cause) => cause,
            ServeError::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
        }
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

    /// Returns the status the peer was answered: 400, 413, 414, 417, 431, 501 or 505.
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
        assert_eq!(
            io::Error::from(ServeError::Truncated).kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn refusals_print_status_and_reason() {
        let refusal = Refusal::bad_request("a reason");
        assert_eq!(refusal.to_string(), "request refused with 400: a reason");
    }
}

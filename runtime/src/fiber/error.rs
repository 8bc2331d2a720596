//! Why a fiber left no result.

use std::any::Any;
use std::fmt;

/// Why a fiber left no result.
#[non_exhaustive]
pub enum JoinError {
    /// It was cancelled.
    Cancelled,
    /// Its hub ended before it did or began, or had no memory for its stack.
    HubEnded,
    /// It panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

impl JoinError {
    /// Whether the fiber was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether the fiber panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// The panic's payload, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the fiber did not panic; [`Self::try_into_panic`] returns the error back then.
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("the fiber did not panic: {error}"),
        }
    }

    /// The panic's payload.
    ///
    /// # Errors
    ///
    /// The error itself, if the fiber did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self {
            Self::Panicked(payload) => Ok(payload),
            other => Err(other),
        }
    }

    fn message(&self) -> Option<&str> {
        let Self::Panicked(payload) = self else {
            return None;
        };
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.message()) {
            (Self::Cancelled, _) => formatter.write_str("the fiber was cancelled"),
            (Self::HubEnded, _) => formatter.write_str("the fiber's hub ended before it"),
            (Self::Panicked(_), Some(message)) => {
                write!(formatter, "the fiber panicked: {message}")
            }
            (Self::Panicked(_), None) => formatter.write_str("the fiber panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => formatter.write_str("Cancelled"),
            Self::HubEnded => formatter.write_str("HubEnded"),
            Self::Panicked(_) => formatter
                .debug_tuple("Panicked")
                .field(&self.message())
                .finish(),
        }
    }
}

impl std::error::Error for JoinError {}

//! Why a fiber or a job left no result.

use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Why a fiber, or a job of a pool, left no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It was cancelled.
    Cancelled,
    /// Its hub ended before it did or began, or had no memory for its stack.
    HubEnded,
    /// It panicked, with this payload.
    Panicked(CaughtPanic),
}

impl JoinError {
    pub(crate) fn of_panic(payload: Box<dyn Any + Send>) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let payload = Mutex::new(payload);
        Self::Panicked(CaughtPanic(Box::new(Caught { message, payload })))
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether it panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// The panic's payload, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If there was no panic; [`Self::try_into_panic`] returns the error back then.
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("there was no panic: {error}"),
        }
    }

    /// The panic's payload.
    ///
    /// # Errors
    ///
    /// The error itself, if there was no panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self {
            Self::Panicked(panic) => Ok(panic.into_payload()),
            other => Err(other),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => formatter.write_str("it was cancelled"),
            Self::HubEnded => formatter.write_str("its hub ended before it did"),
            Self::Panicked(panic) => match panic.message() {
                Some(message) => write!(formatter, "it panicked: {message}"),
                None => formatter.write_str("it panicked"),
            },
        }
    }
}

impl std::error::Error for JoinError {}

/// A panic that was caught: its payload and, if that was a text as it is with `panic!`, the text.
pub struct CaughtPanic(Box<Caught>);

struct Caught {
    message: Option<String>,
    /// Locked by nobody: it makes the whole `Sync`, which a payload need not be.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl CaughtPanic {
    /// The text of the panic, if it had one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The payload, for [`std::panic::resume_unwind`].
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        let payload = self.0.payload.into_inner();
        payload.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CaughtPanic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("CaughtPanic")
            .field(&self.message())
            .finish()
    }
}

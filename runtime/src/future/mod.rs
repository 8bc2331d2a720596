//! What async code finds on kapok: futures of fibers and of time, and streams that can be polled.
//!
//! [`block_on`](crate::block_on()) runs a future in a fiber, and a [`JoinHandle`] is a future. What is here serves crates that
//! are written for any runtime: they are given a stream that has already been connected, and somebody who spawns.

mod sleep;
mod stream;

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "tokio-io")]
mod tokio_io;

pub use sleep::{Sleep, sleep, sleep_until};
pub use stream::{Async, Pollable};

use std::future::IntoFuture;

use crate::task::{self, JoinHandle, block_on};

/// Runs a future on a fiber of its own: [`spawn`](crate::spawn()) of [`block_on`](crate::block_on()).
///
/// The future need not be `Send`, since it stays on this thread. Like every fiber it has a stack; parts of a future that should
/// share one are better joined by a combinator.
///
/// # Panics
///
/// As [`spawn`](crate::spawn()).
///
/// # Examples
///
/// ```
/// let fiber = kapok::future::spawn(async { 6 * 7 });
/// assert_eq!(fiber.join().unwrap(), 42);
/// ```
///
/// For crates that ask for an executor of their own kind, such as hyper:
///
/// ```
/// # mod hyper { pub mod rt { pub trait Executor<F> { fn execute(&self, future: F); } } }
/// #[derive(Clone)]
/// struct Fibers;
///
/// impl<F: Future + 'static> hyper::rt::Executor<F> for Fibers {
///     fn execute(&self, future: F) { drop(kapok::future::spawn(future)) }
/// }
/// # use hyper::rt::Executor;
/// # Fibers.execute(async {});
/// # kapok::yield_now();
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: IntoFuture + 'static,
    F::Output: 'static,
{
    task::spawn(move || block_on(future))
}

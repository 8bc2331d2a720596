//! The thread pool for calls that would block a hub.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, LazyLock};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::JoinError;
use super::remote_join::Packet;
use super::threads::Threads;
use crate::fiber::slot::Wait;
use crate::hub::current;

/// Threads at most; more calls wait for one to be free.
const THREADS_MAX: usize = 128;

static POOL: LazyLock<Arc<Threads>> =
    LazyLock::new(|| Arc::new(Threads::new("kapok-blocking", THREADS_MAX)));

/// Runs `f` on a pool thread and waits for its result; other fibers run meanwhile.
///
/// For what blocks a thread: files, `getaddrinfo`, foreign libraries, long computations. The pool has up to 128 threads over
/// all hubs, made when needed and ended after 10 s without work; further calls wait in line. On a thread that has no hub, and
/// on a pool thread, `f` runs right there. `f` cannot spawn fibers.
///
/// # Errors
///
/// If `f` must be given to a new thread and the system has none.
///
/// # Panics
///
/// Passes a panic of `f` on.
///
/// # Examples
///
/// ```
/// let manifest = kapok::spawn(|| kapok::unblock(|| std::fs::read_to_string("Cargo.toml")));
/// assert!(manifest.join().unwrap()?.is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[switchpoint(
    wakes = "the closure's end",
    cancel = "the closure runs on, its result is dropped on the pool's thread"
)]
pub fn unblock<F, T>(f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    unblock_on(&POOL, f)
}

/// [`unblock`] on these threads.
pub(crate) fn unblock_on<F, T>(threads: &Arc<Threads>, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if current::existing_hub().is_none() {
        return Ok(f());
    }
    let packet = Packet::new();
    let result = packet.clone();
    threads.submit(Box::new(move || {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        result.complete(outcome.map_err(JoinError::of_panic));
    }))?;
    match packet.wait(Wait::Blocking) {
        Ok(value) => Ok(value),
        Err(JoinError::Panicked(panic)) => resume_unwind(panic.into_payload()),
        Err(other) => {
            unreachable!("the job completes its packet with a value or a panic, not with {other}")
        }
    }
}

/// Has a thread of the pool run the work.
pub(crate) fn submit(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    POOL.submit(work)
}

//! The thread pool for calls that would block a hub.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::JoinError;
use super::remote_join::Packet;
use crate::fiber::slot::Wait;
use crate::fiber::store;
use crate::hub::current::{self, ThreadRole};

/// Threads at most; more calls wait for one to be free.
const THREADS_MAX: usize = 128;
/// A thread without work ends after this time.
const IDLE_TIME: Duration = Duration::from_secs(10);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    jobs: VecDeque::new(),
    threads: 0,
    idle: 0,
});
static WORK: Condvar = Condvar::new();

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
    if current::existing_hub().is_none() {
        return Ok(f());
    }
    let packet = Packet::new();
    let result = packet.clone();
    submit(Box::new(move || {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        result.complete(outcome.map_err(JoinError::Panicked));
    }))?;
    match packet.wait(Wait::Blocking) {
        Ok(value) => Ok(value),
        Err(JoinError::Panicked(payload)) => resume_unwind(payload),
        Err(other) => {
            unreachable!("the job completes its packet with a value or a panic, not with {other}")
        }
    }
}

/// Has a thread of the pool run the job, one more if all are busy and there may be more.
pub(crate) fn submit(job: Job) -> io::Result<()> {
    let mut pool = lock();
    if pool.idle <= pool.jobs.len() && pool.threads < THREADS_MAX {
        let started = std::thread::Builder::new()
            .name("kapok-blocking".to_owned())
            .spawn(work);
        match started {
            Ok(_) => pool.threads += 1,
            Err(_) if pool.threads > 0 => {} // those that are there will come to it
            Err(error) => return Err(error),
        }
    }
    pool.jobs.push_back(job);
    drop(pool);
    WORK.notify_one();
    Ok(())
}

fn work() {
    current::set_role(ThreadRole::BlockingPool);
    let mut pool = lock();
    loop {
        if let Some(job) = pool.jobs.pop_front() {
            drop(pool);
            // The result of a caller who is gone is dropped here, and may panic.
            store::drop_quietly(catch_unwind(AssertUnwindSafe(job)));
            pool = lock();
            continue;
        }
        pool.idle += 1;
        let (guard, waited) = WORK
            .wait_timeout(pool, IDLE_TIME)
            .unwrap_or_else(PoisonError::into_inner);
        pool = guard;
        pool.idle -= 1;
        if waited.timed_out() && pool.jobs.is_empty() {
            pool.threads -= 1;
            return;
        }
    }
}

fn lock() -> MutexGuard<'static, Pool> {
    // No user code runs under the lock.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Pools: closures are submitted, run a few at a time, and their results can be waited for.
//!
//! [`FiberPool`] runs them on fibers of this hub, [`ThreadPool`] on threads of its own, for what would block the hub. A single
//! blocking call is simpler with [`unblock`](crate::unblock), fibers that need no limit with [`spawn`](crate::spawn()).
//!
//! # Source
//!
//! Python's `concurrent.futures`, as Gruvi has it.

mod fiber_pool;
mod job;
mod map;
mod thread_pool;

use std::fmt;

use crate::fiber::slot::Wait;
use crate::task::Monitor;

pub use fiber_pool::FiberPool;
pub use job::Job;
pub use thread_pool::ThreadPool;

/// The pool was closed: it takes no more jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolClosed;

impl fmt::Display for PoolClosed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the pool was closed and takes no more jobs")
    }
}

impl std::error::Error for PoolClosed {}

/// Jobs that may wait for their turn before `submit` waits.
const QUEUE_DEFAULT: usize = 1024;

/// Waits until a pool has no job.
fn wait_for_none(unfinished: &Monitor<usize>) {
    unfinished.wait(Wait::Join, None, |jobs| (*jobs == 0).then_some(()));
}

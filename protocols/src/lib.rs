//! Network programs in plain blocking Rust: fibers instead of async.
#![forbid(unsafe_code)]

extern crate self as kapok;

pub mod http;

#[doc(inline)]
pub use kapok_runtime::{
    Builder, CaughtPanic, DrainError, Fiber, FiberLocal, GroupHandle, HubHandle, Hubs, HubsConfig,
    HubsError, JoinError, JoinHandle, NoSwitchGuard, RemoteJoinHandle, Running, Scope,
    ScopedJoinHandle, TaskGroup, TimedOut, assert_no_switchpoints, block_on, current, deadline,
    drain, fiber_local, fs, future, io, is_cancel, net, park, park_timeout, pool, process, run,
    scope, select, shielded, signal, sleep, sleep_until, spawn, sync, task_group, timeout, unblock,
    yield_now,
};

/// # Examples
///
/// A function of one's own that waits, and says so:
///
/// ```
/// use std::time::Duration;
///
/// /// Waits a little, then returns the answer.
/// #[kapok::switchpoint(wakes = "the time", cancel = "nothing is left behind")]
/// fn answer() -> u32 {
///     kapok::sleep(Duration::from_millis(1));
///     42
/// }
///
/// assert_eq!(answer(), 42);
/// let told = std::panic::catch_unwind(|| kapok::assert_no_switchpoints(answer)).unwrap_err();
/// assert!(told.downcast_ref::<String>().unwrap().contains("::answer`"));
/// ```
///
/// What cannot park is refused:
///
/// ```compile_fail
/// #[kapok::switchpoint]
/// async fn wait() {}
/// ```
///
/// ```compile_fail
/// #[kapok::switchpoint]
/// const fn count() -> u8 { 1 }
/// ```
///
/// ```compile_fail
/// #[kapok::switchpoint]
/// extern "C" fn callback() {}
/// ```
///
/// ```compile_fail
/// #[kapok::switchpoint(wakse = "a slip")]
/// fn wait() {}
/// ```
pub use kapok_macros::switchpoint;

#[doc(hidden)]
pub use kapok_runtime::__private;

#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/guide/first_server.md")]
    struct FirstServer;
    #[doc = include_str!("../../docs/guide/http.md")]
    struct Http;
    #[doc = include_str!("../../docs/guide/concepts.md")]
    struct Concepts;
    #[doc = include_str!("../../docs/guide/cancellation.md")]
    struct Cancellation;
    #[doc = include_str!("../../docs/guide/timeouts.md")]
    struct Timeouts;
    #[doc = include_str!("../../docs/guide/sharing.md")]
    struct Sharing;
    #[doc = include_str!("../../docs/guide/threads.md")]
    struct Threads;
}

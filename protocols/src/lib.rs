//! Network programs in plain blocking Rust: fibers instead of async.
//!
//! A fiber is a function with a stack of its own; [`spawn`] runs one on this thread. It is switched out where it waits, and the thread's
//! other fibers run meanwhile. There is no runtime to start: `main` is a fiber too.
//!
//! ```
//! use std::io::{Read, Write};
//! use kapok::net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let server = kapok::spawn(move || listener.accept()?.0.write_all(b"hello"));
//! let mut answer = String::new();
//! TcpStream::connect(address)?.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello");
//! server.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Rules of the house
//!
//! - **Fibers take turns at switchpoints.** They stay on their thread, one of them runs, and it is left only in calls whose documentation
//!   has a section *Switchpoint*. So they share `Rc` and `Cell`. After such a call shared state may be different, and no `RefCell` should
//!   be borrowed over one; [`assert_no_switchpoints`] makes sure of a section.
//! - **What blocks the thread stops all its fibers**: `std::net`, `std::thread::sleep`, a std lock that somebody holds while he waits,
//!   `println!` into a pipe that nobody reads, long computations. Take [`net`], [`fs`], [`process`], [`io`], [`sync`], and [`unblock`] or a
//!   [pool] for the rest.
//! - **Dropping a handle detaches the fiber.** It is not cancelled, and a panic of it is printed and goes no further. What belongs
//!   together is spawned in a [`scope`] or a [`task_group`], which end their fibers.
//! - **A cancel and a [`timeout`] unwind**, as a panic does: destructors run. Code that catches panics passes on those for which
//!   [`is_cancel`] is true. What must not stop half-way is [`shielded`]; so is what C calls back.
//! - **When `main` returns the process ends**, and fibers with it. [`run`] and [`drain`] end them before. Threads of your own and tests put
//!   their work into [`run`].
//! - **A stack has 128 KiB**, or what [`Builder::stack_size`] says. To run out of it ends the process: limit recursion.
//!
//! # The guide
//!
//! [First server], [concepts], [coming from std, tokio or Go], [sharing without locks], [cancellation], [timeouts], [talking to threads],
//! [HTTP][http guide], [async crates].
//!
//! # Features
//!
//! `tokio-io` and `futures-io` give [`future::Async`] tokio's I/O traits and those of the `futures` crates. Neither is on by default.
//!
//! [pool]: crate::pool
//! [First server]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/first_server.md
//! [concepts]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/concepts.md
//! [coming from std, tokio or Go]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/coming_from.md
//! [sharing without locks]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/sharing.md
//! [cancellation]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/cancellation.md
//! [timeouts]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/timeouts.md
//! [talking to threads]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/threads.md
//! [http guide]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/http.md
//! [async crates]: https://github.com/kapok-rs/kapok/blob/main/docs/guide/async_crates.md
#![forbid(unsafe_code)]

extern crate self as kapok;

pub mod http;

#[doc(inline)]
pub use kapok_runtime::{
    Builder, CancelOnDrop, CaughtPanic, DrainError, Fiber, FiberLocal, GroupHandle, HubHandle,
    Hubs, HubsConfig, HubsError, JoinError, JoinHandle, NoSwitchGuard, RemoteJoinHandle, Running,
    Scope, ScopedJoinHandle, TaskGroup, TimedOut, assert_no_switchpoints, block_on, current,
    deadline, diagnostics, drain, fiber_local, fs, future, io, is_cancel, net, park, park_timeout,
    pool, process, run, scope, select, shielded, signal, sleep, sleep_until, spawn, sync,
    task_group, timeout, unblock, yield_now,
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
    #[doc = include_str!("../../docs/guide/coming_from.md")]
    struct ComingFrom;
}

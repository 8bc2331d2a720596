//! Network programs in plain blocking Rust: fibers instead of async.
#![forbid(unsafe_code)]

extern crate self as kapok;

pub mod http;

#[doc(inline)]
pub use kapok_runtime::{
    Builder, DrainError, Fiber, FiberLocal, HubHandle, Hubs, HubsConfig, HubsError, JoinError,
    JoinHandle, NoSwitchGuard, RemoteJoinHandle, Running, TimedOut, assert_no_switchpoints,
    current, drain, fiber_local, is_cancel, net, park, park_timeout, run, shielded, sleep,
    sleep_until, spawn, timeout, unblock, yield_now,
};

pub use kapok_macros::switchpoint;

#[doc(hidden)]
pub use kapok_runtime::__private;

#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/guide/first_server.md")]
    struct FirstServer;
    #[doc = include_str!("../../docs/guide/concepts.md")]
    struct Concepts;
}

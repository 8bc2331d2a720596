//! The atomics and locks of the cross-thread protocols: std's, or loom's when the models run (`--cfg kapok_loom`).

#[cfg(kapok_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU32, Ordering},
};
#[cfg(not(kapok_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU32, Ordering},
};

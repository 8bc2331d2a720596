//! The atomics, cells, locks and threads of the cross-thread protocols: std's, or loom's when the models run (`--cfg kapok_loom`).

#[cfg(kapok_loom)]
pub(crate) use loom::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering},
    },
};
#[cfg(kapok_loom)]
pub(crate) use modelled::{Thread, current_thread, park, park_timeout};
#[cfg(not(kapok_loom))]
pub(crate) use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering},
    },
    thread::{Thread, current as current_thread, park, park_timeout},
};

/// A `const fn`, but where the models run: loom's locks cannot be made in one.
macro_rules! const_unless_loom {
    ($(#[$attribute:meta])* $visibility:vis const fn $($rest:tt)*) => {
        #[cfg(not(kapok_loom))]
        $(#[$attribute])*
        $visibility const fn $($rest)*

        #[cfg(kapok_loom)]
        $(#[$attribute])*
        $visibility fn $($rest)*
    };
}
pub(crate) use const_unless_loom;

/// Loom's own `park` may not be used beside its locks: an `unpark` would let a thread go on that waits for a lock.
#[cfg(kapok_loom)]
mod modelled {
    use std::sync::Arc;
    use std::time::Duration;

    use loom::sync::Notify;

    /// `std::thread::Thread`, as far as it is used.
    #[derive(Clone, Debug)]
    pub(crate) struct Thread(Arc<Notify>);

    loom::thread_local! {
        static THREAD: Thread = Thread(Arc::new(Notify::new()));
    }

    impl Thread {
        pub(crate) fn unpark(&self) {
            self.0.notify();
        }

        pub(crate) fn name(&self) -> Option<&str> {
            None
        }
    }

    pub(crate) fn current_thread() -> Thread {
        THREAD.with(Thread::clone)
    }

    /// May return for no reason, as std's.
    pub(crate) fn park() {
        current_thread().0.wait();
    }

    /// Time does not pass in a model: waits that time out have a deadline in the past.
    pub(crate) fn park_timeout(_: Duration) {
        loom::thread::yield_now();
    }
}

/// Runs a model in all schedules with up to three preemptions; more of them find nothing new and take minutes.
#[cfg(all(test, kapok_loom))]
pub(crate) fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

//! Mutual exclusion that may last over switchpoints.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::raw_mutex::RawMutex;
use crate::hub::cancel;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::waiting::Deadline;

/// A lock for one holder at a time, with the methods of [`std::sync::Mutex`]. It may be held over switchpoints: fibers that want it
/// wait, their hub does not.
///
/// Fair: the one who waits longest gets it next. Locking and unlocking cost a few nanoseconds if nobody else wants it. Fibers of one
/// hub that do not switch while they use a value need no lock at all.
///
/// # Poisoning
///
/// If the fiber (or thread) that holds it panics it is poisoned, as std's is. A cancel or a timeout that unwinds the holder does
/// not poison it, nor does a panic of another fiber of the same thread.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use kapok::sync::Mutex;
///
/// let total = Arc::new(Mutex::new(0));
/// let fibers: Vec<_> = (1..=4)
///     .map(|number| {
///         let total = Arc::clone(&total);
///         kapok::spawn(move || {
///             let mut total = total.lock().unwrap();
///             let before = *total;
///             kapok::yield_now(); // nobody else has the lock meanwhile
///             *total = before + number;
///         })
///     })
///     .collect();
/// fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
/// assert_eq!(*total.lock().unwrap(), 10);
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    is_poisoned: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives one thread at a time access to the value, which may thus move between threads: `T: Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_unless_loom! {
        /// A lock that is free.
        #[must_use]
        pub const fn new(value: T) -> Self {
            Self {
                raw: RawMutex::new(),
                is_poisoned: AtomicBool::new(false),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// The value, without the lock.
    ///
    /// # Errors
    ///
    /// The value all the same, if the lock is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let is_poisoned = self.is_poisoned();
        poisoned_if(is_poisoned, self.value.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free, and takes it.
    ///
    /// # Errors
    ///
    /// The guard all the same, if a holder panicked.
    ///
    /// # Panics
    ///
    /// Never; a fiber that locks what it holds already waits for ever.
    #[switchpoint(wakes = "its turn", cancel = "the lock is not held")]
    #[inline(always)]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        self.guard()
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if somebody holds it; the guard in `Poisoned` if a holder panicked.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.raw.try_lock() {
            Ok(self.guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// [`lock`](Self::lock) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the time is over; the guard in `Poisoned` if a holder panicked.
    #[switchpoint(wakes = "its turn, or the timeout", cancel = "the lock is not held")]
    pub fn lock_timeout(&self, timeout: Duration) -> TryLockResult<MutexGuard<'_, T>> {
        if self.raw.try_lock() || self.raw.lock_contended(Deadline::after(timeout)) {
            Ok(self.guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether a holder panicked.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Ordering::Relaxed)
    }

    /// Says that the value is in order again.
    pub fn clear_poison(&self) {
        self.is_poisoned.store(false, Ordering::Relaxed);
    }

    /// The value, which nobody else can be using.
    ///
    /// # Errors
    ///
    /// The value all the same, if the lock is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let is_poisoned = self.is_poisoned();
        poisoned_if(is_poisoned, self.value.get_mut())
    }

    /// To be called by who has just got the lock.
    #[inline(always)]
    pub(super) fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        let guard = MutexGuard {
            mutex: self,
            was_panicking: std::thread::panicking(),
            not_send: PhantomData,
        };
        poisoned_if(self.is_poisoned(), guard)
    }

    pub(super) fn raw(&self) -> &RawMutex {
        &self.raw
    }
}

/// What a lock returns.
#[inline(always)]
pub(super) fn poisoned_if<G>(is_poisoned: bool, guard: G) -> LockResult<G> {
    if is_poisoned {
        Err(PoisonError::new(guard))
    } else {
        Ok(guard)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => debug.field("data", &&*guard),
            Err(TryLockError::Poisoned(guard)) => debug.field("data", &&**guard.get_ref()),
            Err(TryLockError::WouldBlock) => debug.field("data", &format_args!("<locked>")),
        };
        debug
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

/// The lock, held; dropping it hands the lock on. It stays on its thread.
///
/// ```compile_fail,E0277
/// fn assert_send<T: Send>() {}
/// assert_send::<kapok::sync::MutexGuard<'static, u8>>();
/// ```
#[must_use = "the lock is held only as long as the guard lives"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    was_panicking: bool,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the value alone.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The lock it holds.
    pub(super) fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else has access.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock and is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.was_panicking && cancel::is_panicking() {
            self.mutex.is_poisoned.store(true, Ordering::Relaxed);
        }
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

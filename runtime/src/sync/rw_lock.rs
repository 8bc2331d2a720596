//! A lock for many readers or one writer.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LockResult, TryLockError, TryLockResult};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::mutex::poisoned_if;
use crate::fiber::slot::Wait;
use crate::hub::cancel;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::wait_list::{Claim, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

/// A lock for many readers or one writer, with the methods of [`std::sync::RwLock`]. It may be held over switchpoints.
///
/// Fair: all are served in the order in which they came, readers that came one after the other together. So a reader waits behind a
/// writer that waits, and a fiber that reads must not ask to read again: with a writer in between it would wait for itself.
/// Poisoned, as [`Mutex`](super::Mutex) is, by a writer that panics.
///
/// # Examples
///
/// ```
/// use kapok::sync::RwLock;
///
/// let routes = RwLock::new(vec!["/"]);
/// routes.write().unwrap().push("/about");
/// let (first, second) = (routes.read().unwrap(), routes.read().unwrap());
/// assert_eq!(first.len() + second.len(), 4);
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    is_poisoned: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives many threads shared access (`T: Sync`) or one of them exclusive access (`T: Send`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

struct RawRwLock {
    state: Lock<State>,
}

struct State {
    readers: usize,
    has_writer: bool,
    waiters: WaitList<Access>,
}

impl State {
    fn try_take(&mut self, access: Access) -> bool {
        let is_free = match access {
            Access::Read => !self.has_writer,
            Access::Write => !self.has_writer && self.readers == 0,
        };
        if is_free {
            match access {
                Access::Read => self.readers += 1,
                Access::Write => self.has_writer = true,
            }
        }
        is_free
    }

    /// Lets in those who wait, in their order, as far as they can be in together.
    fn serve(&mut self) {
        while let Some(&access) = self.waiters.first()
            && self.try_take(access)
        {
            wake(self.waiters.claim().and_then(Claim::grant));
        }
    }
}

impl RawRwLock {
    fn try_take(&self, access: Access) -> bool {
        let mut state = self.state.lock();
        state.waiters.is_empty() && state.try_take(access)
    }

    #[inline(always)]
    fn take(&self, access: Access, deadline: Deadline) -> bool {
        let mut state = self.state.lock();
        if state.waiters.is_empty() && state.try_take(access) {
            return true;
        }
        let entry = Entry {
            list: |state: &mut State| &mut state.waiters,
            // Readers may have waited behind a writer that gave up.
            left: State::serve,
        };
        let (wait_for, mut access) = (Wait::Lock, access);
        wait(&self.state, state, entry, &mut access, wait_for, deadline)
    }

    fn give_back(&self, access: Access) {
        let mut state = self.state.lock();
        match access {
            Access::Read => state.readers -= 1,
            Access::Write => state.has_writer = false,
        }
        state.serve();
    }

    fn downgrade(&self) {
        let mut state = self.state.lock();
        state.has_writer = false;
        state.readers += 1;
        state.serve();
    }
}

impl<T> RwLock<T> {
    const_unless_loom! {
        /// A lock that is free.
        #[must_use]
        pub const fn new(value: T) -> Self {
            let state = State {
                readers: 0,
                has_writer: false,
                waiters: WaitList::new(),
            };
            Self {
                raw: RawRwLock {
                    state: Lock::new(state),
                },
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

impl<T: ?Sized> RwLock<T> {
    /// Waits for shared access.
    ///
    /// # Errors
    ///
    /// The guard all the same, if a writer panicked.
    #[switchpoint(wakes = "its turn", cancel = "the lock is not held")]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.raw.take(Access::Read, Deadline::Never);
        self.read_guard()
    }

    /// Waits for exclusive access.
    ///
    /// # Errors
    ///
    /// The guard all the same, if a writer panicked.
    #[switchpoint(wakes = "its turn", cancel = "the lock is not held")]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.take(Access::Write, Deadline::Never);
        self.write_guard()
    }

    /// [`read`](Self::read) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the time is over; the guard in `Poisoned` if a writer panicked.
    #[switchpoint(wakes = "its turn, or the timeout", cancel = "the lock is not held")]
    pub fn read_timeout(&self, timeout: Duration) -> TryLockResult<RwLockReadGuard<'_, T>> {
        match self.raw.take(Access::Read, Deadline::after(timeout)) {
            true => Ok(self.read_guard()?),
            false => Err(TryLockError::WouldBlock),
        }
    }

    /// [`write`](Self::write) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the time is over; the guard in `Poisoned` if a writer panicked.
    #[switchpoint(wakes = "its turn, or the timeout", cancel = "the lock is not held")]
    pub fn write_timeout(&self, timeout: Duration) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        match self.raw.take(Access::Write, Deadline::after(timeout)) {
            true => Ok(self.write_guard()?),
            false => Err(TryLockError::WouldBlock),
        }
    }

    /// Shared access, if nobody writes or waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if somebody does; the guard in `Poisoned` if a writer panicked.
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        match self.raw.try_take(Access::Read) {
            true => Ok(self.read_guard()?),
            false => Err(TryLockError::WouldBlock),
        }
    }

    /// Exclusive access, if nobody has any or waits.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if somebody does; the guard in `Poisoned` if a writer panicked.
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        match self.raw.try_take(Access::Write) {
            true => Ok(self.write_guard()?),
            false => Err(TryLockError::WouldBlock),
        }
    }

    /// Whether a writer panicked.
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

    /// For who has just got shared access.
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let guard = RwLockReadGuard {
            lock: self,
            not_send: PhantomData,
        };
        poisoned_if(self.is_poisoned(), guard)
    }

    /// For who has just got exclusive access.
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let guard = RwLockWriteGuard {
            lock: self,
            was_panicking: std::thread::panicking(),
            not_send: PhantomData,
        };
        poisoned_if(self.is_poisoned(), guard)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => debug.field("data", &&*guard),
            Err(TryLockError::Poisoned(guard)) => debug.field("data", &&**guard.get_ref()),
            Err(TryLockError::WouldBlock) => debug.field("data", &format_args!("<locked>")),
        };
        debug
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

/// Shared access; dropping it gives it back. It stays on its thread.
#[must_use = "the lock is held only as long as the guard lives"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the value alone.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has shared access, so nobody writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.raw.give_back(Access::Read);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

/// Exclusive access; dropping it gives it back. It stays on its thread.
#[must_use = "the lock is held only as long as the guard lives"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    was_panicking: bool,
    not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the value alone.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns exclusive access into shared access, without anybody in between; readers that wait come in.
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let guard = ManuallyDrop::new(guard);
        guard.lock.raw.downgrade();
        RwLockReadGuard {
            lock: guard.lock,
            not_send: PhantomData,
        }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has exclusive access, so nobody else has any.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has exclusive access and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        if !self.was_panicking && cancel::is_panicking() {
            self.lock.is_poisoned.store(true, Ordering::Relaxed);
        }
        self.lock.raw.give_back(Access::Write);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

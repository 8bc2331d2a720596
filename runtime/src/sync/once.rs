//! What is done once, whoever comes first.

use std::fmt;
use std::ops::Deref;
use std::sync::TryLockError;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::event::Event;
use super::mutex::Mutex;
use crate::hub::cancel::shielded;
use crate::hub::sync_facade::const_unless_loom;

/// Runs something once: [`std::sync::Once`] with its methods. Others who come meanwhile wait; the closure may wait too.
///
/// # Examples
///
/// ```
/// static START: kapok::sync::Once = kapok::sync::Once::new();
///
/// START.call_once(|| ());
/// assert!(START.is_completed());
/// ```
pub struct Once {
    running: Mutex<()>,
    completed: Event,
}

impl Once {
    const_unless_loom! {
        /// Nothing was run yet.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                running: Mutex::new(()),
                completed: Event::new(),
            }
        }
    }

    /// Runs `f` if nobody has; when this returns it has run. If the one who runs it is cancelled the next one runs theirs.
    ///
    /// # Panics
    ///
    /// If an earlier closure panicked.
    #[switchpoint(wakes = "the end of the closure", cancel = "the closure is not run")]
    pub fn call_once(&self, f: impl FnOnce()) {
        if self.completed.is_set() {
            return;
        }
        let running = self.running.lock();
        assert!(running.is_ok(), "a closure of this `Once` panicked");
        self.run(f);
    }

    /// [`call_once`](Self::call_once), also if an earlier closure panicked, of which `f` is told.
    #[switchpoint(wakes = "the end of the closure", cancel = "the closure is not run")]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        if self.completed.is_set() {
            return;
        }
        let running = self.running.lock();
        let state = OnceState {
            is_poisoned: running.is_err(),
        };
        self.run(|| f(&state));
    }

    /// Under the lock.
    fn run(&self, f: impl FnOnce()) {
        if !self.completed.is_set() {
            f();
            self.running.clear_poison();
            self.completed.set();
        }
    }

    /// Waits until it has been run.
    ///
    /// Other than std's it does not panic if a closure has: it waits until [`call_once_force`](Self::call_once_force) has run another.
    #[switchpoint(wakes = "the end of the closure", cancel = "nothing is left behind")]
    pub fn wait(&self) {
        self.completed.wait();
    }

    /// Whether it has been run.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.completed.is_set()
    }
}

/// What [`Once::call_once_force`] tells its closure.
#[derive(Debug)]
pub struct OnceState {
    is_poisoned: bool,
}

impl OnceState {
    /// Whether an earlier closure panicked.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Once")
            .field("is_completed", &self.is_completed())
            .finish()
    }
}

/// A value that is set once: [`std::sync::OnceLock`] with its methods. It is also a result that any number of fibers and threads can
/// wait for.
///
/// # Examples
///
/// ```
/// use kapok::sync::OnceLock;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
///
/// let reader = kapok::spawn(|| CONFIG.wait().len());
/// assert_eq!(CONFIG.get_or_init(|| "port = 80".to_owned()), "port = 80");
/// assert_eq!(CONFIG.set("second".to_owned()), Err("second".to_owned()));
/// assert_eq!(reader.join().unwrap(), 9);
/// ```
pub struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    running: Mutex<()>,
    is_set: Event,
}

impl<T> OnceLock<T> {
    const_unless_loom! {
        /// Without a value.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                value: std::sync::OnceLock::new(),
                running: Mutex::new(()),
                is_set: Event::new(),
            }
        }
    }

    /// The value, if it is there.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it is there, to be changed.
    #[must_use]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value; the first one wins. Waits if somebody is about to make one.
    ///
    /// # Errors
    ///
    /// The value given, if there was one.
    #[switchpoint(wakes = "the end of an initialiser", cancel = "nothing is set")]
    pub fn set(&self, value: T) -> Result<(), T> {
        let _running = self.running.lock();
        self.value.set(value)?;
        self.is_set.set();
        Ok(())
    }

    /// The value, made by `f` if there is none. Others who come meanwhile wait, and make it themselves should `f` panic or be cancelled.
    ///
    /// `f` must not ask for the same value: it would wait for itself.
    #[switchpoint(wakes = "the end of an initialiser", cancel = "nothing is set")]
    #[inline]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get_or_try_init(|| Ok::<T, std::convert::Infallible>(f())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value, made by `f` if there is none.
    ///
    /// # Errors
    ///
    /// That of `f`; the next one tries again.
    #[switchpoint(wakes = "the end of an initialiser", cancel = "nothing is set")]
    #[inline]
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.value.get() {
            Some(value) => Ok(value),
            None => self.initialize(f),
        }
    }

    #[cold]
    fn initialize<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        // Who panicked before left nothing: poison does not matter.
        let _running = self.running.lock();
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = f()?;
        // Nobody else sets it: whoever does holds the lock.
        let value = self.value.get_or_init(|| value);
        self.is_set.set();
        Ok(value)
    }

    /// Waits for the value.
    #[switchpoint(wakes = "the value", cancel = "nothing is left behind")]
    pub fn wait(&self) -> &T {
        self.is_set.wait();
        self.value_that_is_set()
    }

    fn value_that_is_set(&self) -> &T {
        let value = self.value.get();
        value.expect("invariant: the event is set after the value")
    }

    /// The value, if it was set.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if it was set; it may be set again.
    pub fn take(&mut self) -> Option<T> {
        self.is_set.clear();
        self.value.take()
    }

    pub(super) fn event(&self) -> &Event {
        &self.is_set
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    /// With this value.
    fn from(value: T) -> Self {
        let made = Self {
            value: std::sync::OnceLock::from(value),
            ..Self::new()
        };
        made.is_set.set();
        made
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    /// With a clone of the value, if it is there. Never waits.
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(formatter, "OnceLock", self.get())
    }
}

/// As std writes it.
fn write_value<T: fmt::Debug>(
    formatter: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<&T>,
) -> fmt::Result {
    let mut tuple = formatter.debug_tuple(name);
    match value {
        Some(value) => tuple.field(value),
        None => tuple.field(&format_args!("<uninit>")),
    };
    tuple.finish()
}

/// A value that is made when it is first used: [`std::sync::LazyLock`].
///
/// The initialiser must not use the value: it would wait for itself. It runs [`shielded`]: a cancel of the fiber that happens to come first waits until it is done.
///
/// # Examples
///
/// ```
/// use kapok::sync::LazyLock;
///
/// static ADDRESSES: LazyLock<usize> = LazyLock::new(|| {
///     kapok::net::resolve("localhost", 80).map_or(0, |addresses| addresses.len())
/// });
///
/// assert!(*ADDRESSES > 0);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    initializer: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    const_unless_loom! {
        /// A value to be made by `f`.
        pub const fn new(f: F) -> Self {
            Self {
                value: OnceLock::new(),
                initializer: Mutex::new(Some(f)),
            }
        }
    }

    /// The value; made if this is the first use.
    ///
    /// # Panics
    ///
    /// If the initialiser panics or has.
    #[switchpoint(
        wakes = "the end of the initialiser",
        cancel = "the value is made later"
    )]
    pub fn force(this: &Self) -> &T {
        this.value.get_or_init(|| {
            let initializer = match this.initializer.try_lock() {
                Ok(mut initializer) => initializer.take(),
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
                Err(TryLockError::WouldBlock) => None,
            };
            let initializer = initializer.expect("the initialiser of this `LazyLock` panicked");
            shielded(initializer)
        })
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self.value.get() {
            Some(value) => value,
            None => Self::force(self),
        }
    }
}

impl<T: Default> Default for LazyLock<T> {
    /// A value to be made by [`T::default`](Default::default).
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(formatter, "LazyLock", self.value.get())
    }
}

//! Values that each fiber has for itself.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::fiber::FiberSlot;
use crate::fiber::store::drop_quietly;
use crate::hub::current;

/// A value that each fiber has for itself, made when the fiber first asks for it and dropped, on its stack, when it ends.
///
/// Declared with [`fiber_local!`](crate::fiber_local). On the root fiber, and on a thread without a hub, it belongs to the
/// thread.
pub struct FiberLocal<T: 'static> {
    init: fn() -> T,
}

impl<T: 'static> FiberLocal<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Calls `f` with this fiber's value.
    ///
    /// # Panics
    ///
    /// If the initialiser panics, and if it asks for the same value without end.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let key = std::ptr::from_ref(self).addr();
        let value = match find(key) {
            Some(value) => value,
            None => {
                // The initialiser may switch or ask for other values: nothing is borrowed meanwhile.
                let made: Rc<dyn Any> = Rc::new((self.init)());
                find(key).unwrap_or_else(|| insert(key, made))
            }
        };
        f(value
            .downcast_ref::<T>()
            .expect("invariant: the key is this variable's address, so the value is of its type"))
    }
}

impl<T> FiberLocal<Cell<T>> {
    /// A copy of this fiber's value.
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Sets this fiber's value.
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    /// Takes this fiber's value and leaves the default.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets this fiber's value and returns the one before.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T> FiberLocal<RefCell<T>> {
    /// Calls `f` with this fiber's value.
    ///
    /// # Panics
    ///
    /// If the value is borrowed to be changed.
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with this fiber's value, to be changed.
    ///
    /// # Panics
    ///
    /// If the value is borrowed.
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }
}

impl<T> std::fmt::Debug for FiberLocal<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FiberLocal").finish_non_exhaustive()
    }
}

/// Declares values that each fiber has for itself, as [`std::thread_local!`] declares them for threads.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// kapok::fiber_local! {
///     /// How many requests this fiber has served.
///     static SERVED: Cell<u32> = Cell::new(0);
/// }
///
/// SERVED.set(5);
/// let other = kapok::spawn(|| SERVED.get());
/// assert_eq!(other.join().unwrap(), 0);
/// assert_eq!(SERVED.with(Cell::get), 5);
/// ```
#[macro_export]
macro_rules! fiber_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr);+ $(;)?) => {
        $($(#[$attribute])* $visibility static $name: $crate::FiberLocal<$type> = $crate::FiberLocal::new(|| $init);)+
    };
}

/// Values, by the address of their variable.
type Locals = Vec<(usize, Rc<dyn Any>)>;

thread_local! {
    /// The values of the root fiber, and of a thread that has no hub. Without a destructor: those of the values may ask for others.
    static ROOT_LOCALS: ManuallyDrop<RefCell<Locals>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static ROOT_END: RootEnd = const { RootEnd };
}

/// Drops the values of the root fiber when the thread ends.
struct RootEnd;

impl Drop for RootEnd {
    fn drop(&mut self) {
        drop_from(|| ROOT_LOCALS.with(|locals| locals.take()));
    }
}

fn with_locals<R>(look: impl FnOnce(&mut Locals) -> R) -> R {
    match current::fiber().filter(|fiber| fiber.yielder.get().is_some()) {
        Some(fiber) => fiber.with_rare(|rare| look(&mut rare.locals)),
        None => {
            // What is made after the thread's end is leaked.
            let _ = ROOT_END.try_with(|_| ());
            ROOT_LOCALS.with(|locals| look(&mut locals.borrow_mut()))
        }
    }
}

fn find(key: usize) -> Option<Rc<dyn Any>> {
    with_locals(|locals| {
        locals
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| Rc::clone(value))
    })
}

fn insert(key: usize, value: Rc<dyn Any>) -> Rc<dyn Any> {
    with_locals(|locals| locals.push((key, Rc::clone(&value))));
    value
}

/// Drops the fiber's values on its own stack.
pub(crate) fn drop_all(fiber: &'static FiberSlot) {
    drop_from(|| fiber.with_rare(|rare| std::mem::take(&mut rare.locals)));
}

/// Drops values, and those that their destructors make, up to a few rounds; what a destructor still makes then is leaked rather
/// than dropped elsewhere.
fn drop_from(take: impl Fn() -> Locals) {
    for _ in 0..8 {
        let locals = take();
        if locals.is_empty() {
            return;
        }
        for (_, value) in locals {
            drop_quietly(value);
        }
    }
    let _ = ManuallyDrop::new(take());
}

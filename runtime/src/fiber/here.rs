//! References that stay on their thread.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

/// A reference to what one hub's thread alone may touch. It is `!Send` in one word: of a plain reference the compiler would tell about
/// each `Cell` behind it to whoever sends a handle to another thread.
pub(crate) struct Here<T: 'static>(NonNull<T>);

impl<T> Here<T> {
    pub(crate) fn new(target: &'static T) -> Self {
        Self(NonNull::from(target))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &'static T {
        // SAFETY: `new`, which alone makes one, was given a `'static` reference.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Deref for Here<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.get()
    }
}

impl<T: fmt::Debug> fmt::Debug for Here<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

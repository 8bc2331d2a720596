//! What a slot's store holds: a closure before the fiber starts, a result after it is done.
//!
//! # Invariants
//!
//! The store is written exactly twice in a fiber's life: [`put_closure`] by spawn, then [`put_value`] by the body, which has
//! taken the closure out before. It is read once for each. `Body` functions and `JoinHandle<T>` are made together by
//! `spawn::<F, T>`, so whoever reads a `T` reads what a body with the same `T` wrote; `flag::VALUE` says that it is there.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::slot::{FiberSlot, INLINE_BYTES, Store, flag};

const fn fits<V>() -> bool {
    size_of::<V>() <= INLINE_BYTES && align_of::<V>() <= align_of::<Store>()
}

#[inline(always)]
pub(crate) fn put_closure<F>(slot: &FiberSlot, closure: F) {
    put(slot, closure);
}

/// Takes the closure out.
///
/// # Safety
///
/// [`put_closure`] has stored an `F` in this slot and nobody has taken it since.
#[inline(always)]
pub(crate) unsafe fn take_closure<F>(slot: &FiberSlot) -> F {
    // SAFETY: the caller promises that the store holds an `F`.
    unsafe { take(slot) }
}

#[inline(always)]
pub(crate) fn put_value<T>(slot: &FiberSlot, value: T) {
    put(slot, value);
    slot.set(flag::VALUE);
}

/// Takes the result out, if the body left one.
///
/// # Safety
///
/// The slot's body was made for results of type `T`.
#[inline(always)]
pub(crate) unsafe fn take_value<T>(slot: &FiberSlot) -> Option<T> {
    if !slot.take(flag::VALUE) {
        return None;
    }
    // SAFETY: `VALUE` was set, so `put_value` stored a value that nobody took, and the caller promises that it is a `T`.
    Some(unsafe { take(slot) })
}

#[inline(always)]
fn put<V>(slot: &FiberSlot, value: V) {
    let store = slot.store.get();
    if fits::<V>() {
        // SAFETY: `fits` says that size and alignment suffice, and the store holds nothing that needs dropping (module head).
        unsafe { store.cast::<V>().write(value) }
    } else {
        let boxed = Box::into_raw(Box::new(value));
        // SAFETY: a pointer fits, and the store holds nothing that needs dropping.
        unsafe { store.cast::<*mut V>().write(boxed) }
    }
}

/// # Safety
///
/// The store holds a `V` that [`put`] wrote and nobody took.
#[inline(always)]
unsafe fn take<V>(slot: &FiberSlot) -> V {
    let store = slot.store.get();
    if fits::<V>() {
        // SAFETY: the caller promises a `V` in the store, and `put` wrote it in place.
        unsafe { store.cast::<V>().read() }
    } else {
        // SAFETY: the caller promises that `put` wrote a boxed `V`'s address.
        let boxed = unsafe { store.cast::<*mut V>().read() };
        // SAFETY: the address came from `Box::into_raw` in `put`, and is taken once.
        *unsafe { Box::from_raw(boxed) }
    }
}

/// Drops a value of the user's. If its destructor panics, the panic has been reported by the hook and is not passed on.
pub(crate) fn drop_quietly<V>(value: V) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // Its destructor might panic as well: leak it.
        let _ = ManuallyDrop::new(payload);
    }
}

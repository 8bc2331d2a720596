//! Cells of one type that never move and are never freed, found by index.
//!
//! A hub's fiber slots and I/O sources live here. Chunks are leaked on purpose: a reference to a cell is honestly `'static`,
//! so whoever holds one (a join handle, a run queue, a list of waiters) needs no unsafe code to follow it. The hub that owns
//! a slab is itself given to the next thread when its own ends (see `hub::recycle`), so what is leaked is bounded by the
//! most hubs and fibers that ever lived at once.

use std::cell::{Cell, RefCell};

const CHUNK: usize = 256;

/// An element knows its own index and the link of the free list.
pub(crate) trait SlabCell: Sized + 'static {
    fn new(index: u32) -> Self;
    fn next_free(&self) -> &Cell<Option<&'static Self>>;
}

#[derive(Debug)]
pub(crate) struct Slab<T: SlabCell> {
    chunks: RefCell<Vec<&'static [T]>>,
    free: Cell<Option<&'static T>>,
}

impl<T: SlabCell> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: RefCell::new(Vec::new()),
            free: Cell::new(None),
        }
    }

    /// Takes a free cell, the one given back last if there is any.
    #[inline(always)]
    pub(crate) fn take(&self) -> &'static T {
        let cell = match self.free.get() {
            Some(cell) => cell,
            None => self.grow(),
        };
        self.free.set(cell.next_free().take());
        cell
    }

    #[inline(always)]
    pub(crate) fn give_back(&self, cell: &'static T) {
        cell.next_free().set(self.free.replace(Some(cell)));
    }

    #[inline(always)]
    pub(crate) fn at(&self, index: u32) -> Option<&'static T> {
        let index = index as usize;
        let chunk = *self.chunks.borrow().get(index / CHUNK)?;
        chunk.get(index % CHUNK)
    }

    /// How many cells exist, free ones included: every index below it is valid.
    pub(crate) fn len(&self) -> u32 {
        (self.chunks.borrow().len() * CHUNK) as u32
    }

    #[cold]
    fn grow(&self) -> &'static T {
        let start = self.len();
        let chunk: Vec<T> = (0..CHUNK as u32)
            .map(|offset| T::new(start + offset))
            .collect();
        let chunk: &'static [T] = Box::leak(chunk.into_boxed_slice());
        self.chunks.borrow_mut().push(chunk);
        // Backwards, so that cells are handed out in the order of their addresses.
        for cell in chunk.iter().rev() {
            self.give_back(cell);
        }
        &chunk[0]
    }
}

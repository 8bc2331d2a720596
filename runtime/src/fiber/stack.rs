//! Stack memory: slabs of equal stacks, their guard pages, and giving pages back.
//!
//! ```text
//! slab   |guard|........stack 0........|worker 0||guard|........stack 1........|worker 1|| …
//!         page   <── grows downwards ──  top                                             one mapping
//! ```
//!
//! # Why slabs
//!
//! A guard made by `mprotect` splits its mapping: two kernel areas a stack, and a process may have 65,530 of them
//! (`vm.max_map_count`), so 32,706 stacks are the end. `MADV_GUARD_INSTALL` (Linux 6.13) marks the page in the page table
//! instead and costs no area; `process_madvise` on oneself does many in one call. Where the kernel refuses, `mprotect` guards
//! are used up to a cap below the limit, and spawning more fibers is an error. A stack never goes without a guard.
//!
//! # Invariants
//!
//! - A slab is mapped readable and writable and is **never unmapped**: when its hub is done it goes to a process-wide list and
//!   the next hub takes it. So an address in a slab is `'static`; what it holds is another matter, see `worker`.
//! - The lowest page of each stack is its guard from before the first use on, and stays it: `MADV_DONTNEED` leaves both kinds.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The size of a stack's guard: one page, 4 KiB on most systems. Safe to call in a signal handler once there is a stack.
pub(crate) fn guard_bytes() -> usize {
    static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
    let known = PAGE_BYTES.load(Ordering::Relaxed);
    if known > 0 {
        return known;
    }
    // SAFETY: the call only reads a setting of the system.
    let asked = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page_bytes = usize::try_from(asked).unwrap_or(4096);
    PAGE_BYTES.store(page_bytes, Ordering::Relaxed);
    page_bytes
}

/// Stacks in a slab at most: as many as one `process_madvise` call takes.
const SLAB_STACKS: usize = 1024;

const MADV_GUARD_INSTALL: libc::c_int = 102;

/// One mapping of `stacks` times `pitch` bytes.
#[derive(Debug)]
pub(crate) struct StackSlab {
    start: NonNull<u8>,
    pitch: usize,
    stacks: usize,
}

// SAFETY: a slab is the only owner of its mapping's address range and does not depend on the thread; the process-wide list
// hands it from one hub to the next only after the first one has no worker left in it.
unsafe impl Send for StackSlab {}

static SPARE_SLABS: Mutex<Vec<StackSlab>> = Mutex::new(Vec::new());

/// Stacks whose guard is a `mprotect`ed page, over all hubs.
static PROTECTED_STACKS: AtomicUsize = AtomicUsize::new(0);

impl StackSlab {
    /// Takes a slab from the process-wide list, or maps one of at least `wanted` stacks of `pitch` bytes each.
    pub(crate) fn obtain(pitch: usize, wanted: usize) -> io::Result<Self> {
        {
            let mut spare = SPARE_SLABS.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(position) = spare.iter().position(|slab| slab.pitch == pitch) {
                return Ok(spare.swap_remove(position));
            }
        }
        let slab = Self::map(pitch, wanted.clamp(1, SLAB_STACKS))?;
        match slab.install_guards() {
            Ok(()) => Ok(slab),
            Err(error) => {
                slab.unmap();
                Err(error)
            }
        }
    }

    /// Gives the slab to whoever needs one next. No stack in it may hold a worker any more.
    pub(crate) fn recycle(self) {
        SPARE_SLABS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self);
    }

    pub(crate) fn stacks(&self) -> usize {
        self.stacks
    }

    pub(crate) fn stack(&self, index: usize) -> StackMemory {
        assert!(
            index < self.stacks,
            "invariant: a stack's index lies within its slab"
        );
        // SAFETY: the index was checked, so the offset stays inside this slab's mapping.
        let bottom = unsafe { self.start.add(index * self.pitch) };
        StackMemory {
            bottom,
            pitch: self.pitch,
        }
    }

    fn map(pitch: usize, stacks: usize) -> io::Result<Self> {
        let bytes = pitch
            .checked_mul(stacks)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // A huge page would make each idle fiber cost 2 MiB.
        #[cfg(target_os = "linux")]
        // SAFETY: the range is the mapping just made; the advice changes no contents.
        unsafe {
            libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE)
        };
        let start = NonNull::new(start.cast())
            .expect("invariant: mmap never returns null without MAP_FIXED");
        Ok(Self {
            start,
            pitch,
            stacks,
        })
    }

    fn unmap(self) {
        // SAFETY: the range is this slab's whole mapping; `self` is consumed and no stack was handed out.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.pitch * self.stacks) };
    }

    fn install_guards(&self) -> io::Result<()> {
        if guard_kind() == GuardKind::Advised {
            let guards: Vec<libc::iovec> = (0..self.stacks)
                .map(|index| libc::iovec {
                    iov_base: self.stack(index).bottom.as_ptr().cast(),
                    iov_len: guard_bytes(),
                })
                .collect();
            return advise(&guards, MADV_GUARD_INSTALL);
        }
        let limit = protected_stacks_max();
        let before = PROTECTED_STACKS.fetch_add(self.stacks, Ordering::Relaxed);
        let result = if before + self.stacks > limit {
            Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!(
                    "{limit} fiber stacks are in use, as many as guard pages allow with this kernel (Linux 6.13 or a higher \
                     vm.max_map_count lifts the limit)"
                ),
            ))
        } else {
            (0..self.stacks).try_for_each(|index| self.stack(index).protect_guard())
        };
        if result.is_err() {
            PROTECTED_STACKS.fetch_sub(self.stacks, Ordering::Relaxed);
        }
        result
    }
}

/// One stack of a slab, by address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackMemory {
    bottom: NonNull<u8>,
    pitch: usize,
}

impl StackMemory {
    /// The lowest address, where the guard page lies.
    pub(crate) fn bottom(self) -> NonNull<u8> {
        self.bottom
    }

    pub(crate) fn bytes(self) -> usize {
        self.pitch
    }

    /// `bytes` below the stack's upper end.
    pub(crate) fn below_top(self, bytes: usize) -> NonNull<u8> {
        assert!(
            bytes <= self.pitch,
            "invariant: the address lies within the stack"
        );
        // SAFETY: the offset is between 0 and the pitch, so the result lies in (or one past the end of) this stack's range.
        unsafe { self.bottom.add(self.pitch - bytes) }
    }

    fn protect_guard(self) -> io::Result<()> {
        // SAFETY: the page is the lowest of a stack of ours that is not in use yet.
        let result =
            unsafe { libc::mprotect(self.bottom.as_ptr().cast(), guard_bytes(), libc::PROT_NONE) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// Gives the stacks' pages back to the kernel; their contents are gone, their guards stay.
pub(crate) fn discard(stacks: &[StackMemory]) {
    let ranges: Vec<libc::iovec> = stacks
        .iter()
        .map(|stack| {
            let bytes = stack.pitch - guard_bytes();
            libc::iovec {
                iov_base: stack.below_top(bytes).as_ptr().cast(),
                iov_len: bytes,
            }
        })
        .collect();
    // Not being able to give memory back costs memory and nothing else.
    let _ = advise(&ranges, libc::MADV_DONTNEED);
}

/// How stacks are guarded, decided once a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GuardKind {
    Advised,
    Protected,
}

fn guard_kind() -> GuardKind {
    static KIND: OnceLock<GuardKind> = OnceLock::new();
    *KIND.get_or_init(|| {
        let forced = std::env::var_os("KAPOK_STACK_GUARD").is_some_and(|kind| kind == "mprotect");
        if forced || !guards_can_be_advised() {
            GuardKind::Protected
        } else {
            GuardKind::Advised
        }
    })
}

fn guards_can_be_advised() -> bool {
    let Ok(slab) = StackSlab::map(2 * guard_bytes(), 1) else {
        return false;
    };
    let guard = libc::iovec {
        iov_base: slab.start.as_ptr().cast(),
        iov_len: guard_bytes(),
    };
    let works = cfg!(target_os = "linux") && advise_each(&[guard], MADV_GUARD_INSTALL).is_ok();
    slab.unmap();
    works
}

/// 45 % of the areas the kernel grants a process, as a guarded stack takes two and others need some.
fn protected_stacks_max() -> usize {
    let areas = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    areas.unwrap_or(65_530_usize) * 45 / 100
}

/// Advises many ranges of this process in one system call, or one by one where that is not possible.
fn advise(ranges: &[libc::iovec], advice: libc::c_int) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if advise_at_once(ranges, advice) {
        return Ok(());
    }
    advise_each(ranges, advice)
}

fn advise_each(ranges: &[libc::iovec], advice: libc::c_int) -> io::Result<()> {
    for range in ranges {
        // SAFETY: callers give ranges of stacks that no fiber uses: guard pages not yet handed out, or idle stacks' pages.
        let result = unsafe { libc::madvise(range.iov_base, range.iov_len, advice) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether `process_madvise` did the whole of it. If it did a part only, doing all again is harmless.
#[cfg(target_os = "linux")]
fn advise_at_once(ranges: &[libc::iovec], advice: libc::c_int) -> bool {
    // Asked anew each time: after a fork a kept descriptor would name the parent, and the advice would hit its memory.
    let process = std::process::id() as libc::pid_t;
    // SAFETY: the call takes a process id and flags and touches no memory.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) } as libc::c_int;
    if descriptor < 0 {
        return false;
    }
    let bytes: usize = ranges.iter().map(|range| range.iov_len).sum();
    // SAFETY: as in `advise_each`; the descriptor names this very process and the slice is valid for its length.
    let advised = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            descriptor,
            ranges.as_ptr(),
            ranges.len(),
            advice,
            0,
        )
    };
    // SAFETY: the descriptor was opened above and is used nowhere else.
    unsafe { libc::close(descriptor) };
    usize::try_from(advised) == Ok(bytes)
}

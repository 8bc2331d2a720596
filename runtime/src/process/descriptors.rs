//! Descriptors that a child gets at numbers of the caller's choice.
//!
//! All descriptors of kapok and of std are closed by `exec`. One that a child is to have is duplicated above every number that
//! may be asked for, so that sources and targets never meet, and put in place in the child, between `fork` and `exec`.
//!
//! There std has a pipe to tell its parent why `exec` failed, and would lose it if it had one of the numbers. So each number is
//! kept occupied in the parent while it forks. What occupies it may be another thread's, which closes it just before std makes
//! its pipe: so the child looks whether it is still the same, and if not the parent tries again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::fcntl_dupfd_cloexec;

/// The numbers that may be asked for. Lower ones are the standard streams'.
const NUMBERS: std::ops::RangeInclusive<RawFd> = 3..=127;

/// How often a fork is tried while other threads open and close descriptors at the numbers.
const ATTEMPTS: usize = 100;

/// By which a child tells that a number has changed hands.
const CHANGED: i32 = libc::ESTALE;

/// The numbers that a command's children get descriptors at, each once.
#[derive(Debug, Default)]
pub(super) struct Descriptors(Vec<(RawFd, Arc<Occupant>)>);

/// Device and inode of what a number is before the fork. No inode has the number 0: then nobody looked.
#[derive(Debug, Default)]
struct Occupant {
    device: AtomicU64,
    inode: AtomicU64,
}

impl Occupant {
    fn set(&self, (device, inode): (u64, u64)) {
        self.device.store(device, Ordering::Relaxed);
        self.inode.store(inode, Ordering::Relaxed);
    }

    fn get(&self) -> (u64, u64) {
        let device = self.device.load(Ordering::Relaxed);
        (device, self.inode.load(Ordering::Relaxed))
    }
}

/// What the number is now; none if nothing is open there.
fn occupant(number: RawFd) -> Option<(u64, u64)> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the number may be anything, open or not; where the answer is written there is room for it.
    if unsafe { libc::fstat(number, status.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has succeeded, so all of it was written.
    let status = unsafe { status.assume_init() };
    Some((status.st_dev, status.st_ino))
}

impl Descriptors {
    /// Gives the command's children a duplicate of `descriptor` at `number`.
    pub(super) fn add(
        &mut self,
        command: &mut Command,
        descriptor: BorrowedFd<'_>,
        number: RawFd,
    ) -> io::Result<()> {
        if !NUMBERS.contains(&number) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a child's descriptor has a number from 3 to 127, not {number}"),
            ));
        }
        let source = fcntl_dupfd_cloexec(descriptor, NUMBERS.end() + 1)?;
        let known = self.0.iter().find(|(known, _)| *known == number);
        let before = match known {
            Some((_, before)) => Arc::clone(before),
            None => {
                let before = Arc::new(Occupant::default());
                self.0.push((number, Arc::clone(&before)));
                before
            }
        };
        // SAFETY: `put` may run between `fork` and `exec`: it makes system calls and neither allocates nor takes a lock.
        unsafe { command.pre_exec(move || put(&source, number, &before)) };
        Ok(())
    }

    /// Starts the child.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        if self.0.is_empty() {
            return command.spawn();
        }
        for _ in 0..ATTEMPTS {
            let occupied = self.occupy()?;
            let child = command.spawn();
            drop(occupied);
            // std's own `spawn`, which occupies nothing, is not to look either.
            self.0.iter().for_each(|(_, before)| before.set((0, 0)));
            match child {
                Err(error) if error.raw_os_error() == Some(CHANGED) => {}
                child => return child,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "other threads open and close descriptors at the child's numbers all the time",
        ))
    }

    /// Keeps std's own descriptors away from the numbers until the result is dropped.
    fn occupy(&self) -> io::Result<Occupied> {
        static FORKING: Mutex<()> = Mutex::new(());
        // Nothing under the lock panics half-way.
        let turn = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have got one of the numbers itself, so it is kept too.
        let mut descriptors = vec![OwnedFd::from(io::pipe()?.0)];
        for (number, before) in &self.0 {
            let number = *number;
            // The lowest free number from there on: if it is another one, `number` has somebody already.
            let duplicate = fcntl_dupfd_cloexec(&descriptors[0], number)?;
            if duplicate.as_raw_fd() == number {
                descriptors.push(duplicate);
            }
            // If it was closed just now, whatever the child finds there is another.
            before.set(occupant(number).unwrap_or((u64::MAX, u64::MAX)));
        }
        Ok(Occupied {
            _descriptors: descriptors,
            _turn: turn,
        })
    }
}

/// Numbers that are kept occupied, for the milliseconds of a fork.
struct Occupied {
    _descriptors: Vec<OwnedFd>,
    /// One fork at a time: whoever finds a number taken by another's fork would find it free a moment later.
    _turn: MutexGuard<'static, ()>,
}

/// Makes `number` a duplicate of `source` that stays open when the program is executed, unless it may be std's pipe.
fn put(source: &OwnedFd, number: RawFd, before: &Occupant) -> io::Result<()> {
    let known = before.get();
    if known.1 != 0 && occupant(number).is_some_and(|now| now != known) {
        return Err(io::Error::from_raw_os_error(CHANGED));
    }
    // Here in the child it is ours from now on, also if the number was given twice.
    before.set((0, 0));
    // SAFETY: in the child, where nothing but std's own descriptors is used any more, and these have other numbers: `source` is
    // above all of them, and the pipe was made after what is there was seen. What `number` was is not needed after `exec`.
    match unsafe { libc::dup2(source.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

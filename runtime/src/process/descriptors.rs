//! Descriptors that a child gets at numbers of the caller's choice.
//!
//! All descriptors of kapok and of std are closed by `exec`. One that a child is to have is duplicated above every number that
//! may be asked for, so that sources and targets never meet, and put in place in the child, between `fork` and `exec`.
//!
//! There std has a pipe to tell its parent why `exec` failed, and would lose it if it had one of the numbers. So each number is
//! kept occupied in the parent while it forks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::fcntl_dupfd_cloexec;

/// The numbers that may be asked for. Lower ones are the standard streams'.
const NUMBERS: std::ops::RangeInclusive<RawFd> = 3..=127;

/// The numbers that a command's children get descriptors at.
#[derive(Debug, Default)]
pub(super) struct Descriptors(Vec<RawFd>);

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
        self.0.push(number);
        // SAFETY: `put` may run between `fork` and `exec`: it makes one system call and neither allocates nor takes a lock.
        unsafe { command.pre_exec(move || put(&source, number)) };
        Ok(())
    }

    /// Keeps std's own descriptors away from the numbers until the result is dropped.
    pub(super) fn occupy(&self) -> io::Result<Option<Occupied>> {
        static FORKING: Mutex<()> = Mutex::new(());
        if self.0.is_empty() {
            return Ok(None);
        }
        // Nothing under the lock panics half-way.
        let turn = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have got one of the numbers itself, so it is kept too.
        let mut descriptors = vec![OwnedFd::from(io::pipe()?.0)];
        for &number in &self.0 {
            // The lowest free number from there on: if it is another one, `number` has somebody already.
            let duplicate = fcntl_dupfd_cloexec(&descriptors[0], number)?;
            if duplicate.as_raw_fd() == number {
                descriptors.push(duplicate);
            }
        }
        Ok(Some(Occupied {
            _descriptors: descriptors,
            _turn: turn,
        }))
    }
}

/// Numbers that are kept occupied, for the milliseconds of a fork.
pub(super) struct Occupied {
    _descriptors: Vec<OwnedFd>,
    /// One fork at a time: whoever finds a number taken by another's fork would find it free a moment later.
    _turn: MutexGuard<'static, ()>,
}

/// Makes `number` a duplicate of `source` that stays open when the program is executed.
fn put(source: &OwnedFd, number: RawFd) -> io::Result<()> {
    // SAFETY: in the child, where nothing but std's own descriptors is used any more, and these have other numbers: `source` is
    // above all of them, and `occupy` kept the pipe away. What `number` was is not needed after `exec`.
    match unsafe { libc::dup2(source.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

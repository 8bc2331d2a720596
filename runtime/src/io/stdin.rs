//! Standard input.
//!
//! A terminal and a pipe could be made non-blocking, but the mode is the open file's: the shell and every other process that
//! has it would get it too. So a thread of the pool reads, one read at a time, and only when somebody asks. If who asked is
//! cancelled the read goes on, and what it brings is kept for the next.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Lines, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::sync::{Permit, Semaphore};
use crate::task::unblock;

/// Who may read.
static READER: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));
/// Held by the read that runs.
static READ: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

static INPUT: Mutex<Input> = Mutex::new(Input {
    unread: Vec::new(),
    arrived: None,
});

/// What was read and not yet taken: at most one read of std's, and what was there for a reader who was cancelled in the middle
/// of a line.
struct Input {
    unread: Vec<u8>,
    /// What the last read brought, until its reader or the next one takes it.
    arrived: Option<io::Result<Vec<u8>>>,
}

fn input() -> MutexGuard<'static, Input> {
    // Nothing under the lock panics half-way.
    INPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The standard input of this process, with the methods of [`std::io::Stdin`].
///
/// Reading takes a thread of the pool while it waits, one however many fibers read. Input that std has in its buffer comes
/// first; the other way round, [`std::io::stdin`] does not see what was read here and not used yet, which is up to 8 KiB past a
/// line.
///
/// # Examples
///
/// ```
/// let mut lines = 0;
/// for line in kapok::io::stdin().lines() {
///     line?;
///     lines += 1;
/// }
/// println!("{lines} lines");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(())
}

/// A handle of the standard input, made by [`stdin`].
pub struct Stdin(());

impl Stdin {
    /// Waits until nobody else reads, and keeps others from it. A fiber that already has the lock would wait for ever.
    #[switchpoint(wakes = "the lock's release", cancel = "nothing was taken")]
    pub fn lock(&self) -> StdinLock {
        let turn = READER.acquire();
        StdinLock {
            unread: std::mem::take(&mut input().unread),
            used: 0,
            _turn: turn,
        }
    }

    /// Reads up to the end of a line and adds it to `line`, with the line feed. Returns 0 at the end of the input.
    ///
    /// A line may be of any length; [`Read::take`] of the lock limits it.
    ///
    /// # Errors
    ///
    /// Those of the system; `InvalidData` for a line that is no UTF-8, which is passed over.
    #[switchpoint(
        wakes = "a line, or the end of the input",
        cancel = "nothing was taken: the next reader gets the whole line"
    )]
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        self.lock().read_line(line)
    }

    /// The lines as they come, without their line feeds. Keeps others from reading while it lives.
    #[switchpoint(wakes = "the lock's release", cancel = "nothing was taken")]
    pub fn lines(self) -> Lines<StdinLock> {
        self.lock().lines()
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

impl Read for &Stdin {
    #[switchpoint(wakes = "bytes, or the end of the input", cancel = "nothing was taken")]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }

    #[switchpoint(wakes = "the end of the input", cancel = "nothing was taken")]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(bytes)
    }

    #[switchpoint(wakes = "the end of the input", cancel = "nothing was taken")]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(text)
    }
}

impl Read for Stdin {
    #[switchpoint(wakes = "bytes, or the end of the input", cancel = "nothing was taken")]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buffer)
    }

    #[switchpoint(wakes = "the end of the input", cancel = "nothing was taken")]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(bytes)
    }

    #[switchpoint(wakes = "the end of the input", cancel = "nothing was taken")]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(text)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        rustix::stdio::raw_stdin()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stdin").finish_non_exhaustive()
    }
}

/// The standard input while nobody else reads it, made by [`Stdin::lock`]. What it has not used when it is dropped is the next
/// one's.
pub struct StdinLock {
    unread: Vec<u8>,
    /// So many bytes of `unread` were taken.
    used: usize,
    _turn: Permit<'static>,
}

impl StdinLock {
    fn available(&self) -> &[u8] {
        &self.unread[self.used..]
    }

    /// Adds the next bytes to the available ones. Returns how many there were, 0 at the end of the input.
    fn fetch(&mut self) -> io::Result<usize> {
        // A read that was abandoned may still run.
        let turn = READ.acquire();
        let known = input().arrived.take();
        let arrived = match known {
            Some(arrived) => arrived,
            None => {
                unblock(move || {
                    let read = read_some();
                    input().arrived = Some(read);
                    drop(turn);
                })?;
                let arrived = input().arrived.take();
                arrived.unwrap_or_else(|| Ok(Vec::new()))
            }
        };
        let bytes = arrived?;
        self.unread.drain(..self.used);
        self.used = 0;
        self.unread.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// How many bytes there are up to `delimiter` and with it, or to the end of the input. They stay available.
    fn fetch_until(&mut self, delimiter: u8) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let found = self.available()[searched..]
                .iter()
                .position(|byte| *byte == delimiter);
            if let Some(at) = found {
                return Ok(searched + at + 1);
            }
            searched = self.available().len();
            if self.fetch()? == 0 {
                return Ok(searched);
            }
        }
    }

    /// Takes the next bytes if they are text, and passes them over if not.
    fn take_text(&mut self, count: usize, text: &mut String) -> io::Result<usize> {
        let taken = std::str::from_utf8(&self.available()[..count])
            .map(|taken| text.push_str(taken))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        self.consume(count);
        taken.map(|()| count)
    }
}

/// One read, of what std has or the system gives.
fn read_some() -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.fill_buf() {
            Ok(bytes) => {
                let bytes = bytes.to_vec();
                stdin.consume(bytes.len());
                return Ok(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Read for StdinLock {
    #[switchpoint(wakes = "bytes, or the end of the input", cancel = "nothing was taken")]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }

    #[switchpoint(wakes = "the end of the input", cancel = "nothing was taken")]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        while self.fetch()? > 0 {}
        let count = self.available().len();
        bytes.extend_from_slice(self.available());
        self.consume(count);
        Ok(count)
    }

    #[switchpoint(wakes = "the end of the input", cancel = "nothing was taken")]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        while self.fetch()? > 0 {}
        self.take_text(self.available().len(), text)
    }
}

impl BufRead for StdinLock {
    #[switchpoint(wakes = "bytes, or the end of the input", cancel = "nothing was taken")]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.available().is_empty() {
            self.fetch()?;
        }
        Ok(self.available())
    }

    fn consume(&mut self, count: usize) {
        self.used = self.unread.len().min(self.used + count);
    }

    #[switchpoint(
        wakes = "the delimiter, or the end of the input",
        cancel = "nothing was taken"
    )]
    fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let count = self.fetch_until(delimiter)?;
        bytes.extend_from_slice(&self.available()[..count]);
        self.consume(count);
        Ok(count)
    }

    #[switchpoint(
        wakes = "a line, or the end of the input",
        cancel = "nothing was taken"
    )]
    fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        let count = self.fetch_until(b'\n')?;
        self.take_text(count, line)
    }
}

impl Drop for StdinLock {
    fn drop(&mut self) {
        self.unread.drain(..self.used);
        input().unread = std::mem::take(&mut self.unread);
    }
}

impl fmt::Debug for StdinLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StdinLock")
            .field("available", &self.available().len())
            .finish_non_exhaustive()
    }
}

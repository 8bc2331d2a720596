//! Writing a child's input while reading its output.
//!
//! One fiber does it all: it tries whichever pipes may be ready and waits for any of them when none is. So there is no reader
//! to join, and nothing is lost behind it.

use std::fmt;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::Output;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

use super::Child;
use crate::fiber::slot::{NEVER, Wait};
use crate::hub::current;
use crate::hub::registration::{Registered, stopped, wait_for_any};
use crate::hub::sources::Direction;
use crate::hub::{Hub, cancel};

/// What is read at a time: what a pipe holds on Linux.
const READ_BYTES: usize = 64 * 1024;

/// How long [`Child::communicate`] may take, and how much a child may write.
#[derive(Clone, Debug)]
pub struct CommunicateLimits {
    output_bytes_max: usize,
    timeout: Option<Duration>,
}

impl CommunicateLimits {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            output_bytes_max: 64 << 20,
            timeout: None,
        }
    }

    pub(super) fn unlimited() -> Self {
        Self {
            output_bytes_max: usize::MAX,
            timeout: None,
        }
    }

    /// Sets how many bytes a child may write to its output and its error stream together. Default is 64 MiB. They are kept in
    /// memory.
    #[must_use]
    pub fn output_bytes_max(mut self, bytes: usize) -> Self {
        self.output_bytes_max = bytes;
        self
    }

    /// Sets how long it all may take, the wait for the child included. Default is for ever.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl Default for CommunicateLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// Why [`Child::communicate`] ended before the child. The child runs on.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommunicateError {
    /// The system refused something.
    Io(io::Error),
    /// The timeout passed. Of the input any part may have been written.
    TimedOut {
        /// What the child wrote before.
        stdout: Vec<u8>,
        /// What it wrote to its error stream.
        stderr: Vec<u8>,
    },
    /// The child wrote more than the limit.
    TooLong {
        /// What the child wrote up to the limit.
        stdout: Vec<u8>,
        /// What it wrote to its error stream.
        stderr: Vec<u8>,
    },
}

impl fmt::Display for CommunicateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Io(_) => "the system refused to read, to write or to wait",
            Self::TimedOut { .. } => "the child took longer than its timeout",
            Self::TooLong { .. } => "the child wrote more than its limit",
        })
    }
}

impl std::error::Error for CommunicateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::TimedOut { .. } | Self::TooLong { .. } => None,
        }
    }
}

impl From<CommunicateError> for io::Error {
    fn from(error: CommunicateError) -> Self {
        let kind = match error {
            CommunicateError::Io(error) => return error,
            CommunicateError::TimedOut { .. } => io::ErrorKind::TimedOut,
            CommunicateError::TooLong { .. } => io::ErrorKind::FileTooLarge,
        };
        Self::new(kind, error)
    }
}

/// Why the bytes stopped.
enum Stop {
    Failed(io::Error),
    TooLong,
}

pub(super) fn communicate(
    child: &mut Child,
    input: &[u8],
    limits: &CommunicateLimits,
) -> Result<Output, CommunicateError> {
    let hub = current::hub();
    let deadline = limits
        .timeout
        .map_or(NEVER, |timeout| hub.clock.deadline_after(timeout));
    let mut exchange = Exchange {
        input,
        stdout: Stream::of(child.stdout.is_some()),
        stderr: Stream::of(child.stderr.is_some()),
        buffer: Vec::new(),
        bytes_left: limits.output_bytes_max,
    };
    let end = exchange
        .run(hub, child, deadline)
        .and_then(|()| child.wait_until(deadline).map_err(Stop::Failed));
    let (stdout, stderr) = (exchange.stdout.bytes, exchange.stderr.bytes);
    match end {
        Ok(status) => Ok(Output {
            status,
            stdout,
            stderr,
        }),
        Err(Stop::TooLong) => Err(CommunicateError::TooLong { stdout, stderr }),
        Err(Stop::Failed(error))
            if error.kind() == io::ErrorKind::TimedOut && !hub.is_expired.get() =>
        {
            Err(CommunicateError::TimedOut { stdout, stderr })
        }
        Err(Stop::Failed(error)) => Err(CommunicateError::Io(error)),
    }
}

/// What is left to do, and what came.
struct Exchange<'a> {
    input: &'a [u8],
    stdout: Stream,
    stderr: Stream,
    buffer: Vec<u8>,
    bytes_left: usize,
}

struct Stream {
    bytes: Vec<u8>,
    is_open: bool,
}

impl Stream {
    fn of(is_open: bool) -> Self {
        Self {
            bytes: Vec::new(),
            is_open,
        }
    }
}

impl Exchange<'_> {
    /// Returns when all is written and both streams have ended.
    fn run(&mut self, hub: &'static Hub, child: &mut Child, deadline: u64) -> Result<(), Stop> {
        self.buffer.resize(READ_BYTES, 0);
        loop {
            make_way(hub, deadline).map_err(Stop::Failed)?;
            let mut has_moved = self.write(hub, child).map_err(Stop::Failed)?;
            if let Some(pipe) = &child.stdout {
                has_moved |= read(
                    hub,
                    pipe.registered(),
                    &mut self.stdout,
                    &mut self.buffer,
                    &mut self.bytes_left,
                )?;
            }
            if let Some(pipe) = &child.stderr {
                has_moved |= read(
                    hub,
                    pipe.registered(),
                    &mut self.stderr,
                    &mut self.buffer,
                    &mut self.bytes_left,
                )?;
            }
            if child.stdin.is_none() && !self.stdout.is_open && !self.stderr.is_open {
                return Ok(());
            }
            if has_moved {
                continue;
            }
            self.wait(hub, child, deadline).map_err(Stop::Failed)?;
        }
    }

    /// Writes some input, and closes it behind the last. Returns whether there was anything to do.
    fn write(&mut self, hub: &'static Hub, child: &mut Child) -> io::Result<bool> {
        let Some(pipe) = &child.stdin else {
            return Ok(false);
        };
        if !self.input.is_empty() {
            let input = self.input;
            match attempt(hub, pipe.registered(), Direction::Write, |mut end| {
                end.write(input)
            }) {
                None => return Ok(false),
                Some(Ok(written)) => {
                    hub.spend_bytes(written);
                    self.input = &input[written..];
                }
                // The child wants no more.
                Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => self.input = &[],
                Some(Err(error)) => return Err(error),
            }
        }
        if self.input.is_empty() {
            child.stdin = None;
        }
        Ok(true)
    }

    fn wait(&self, hub: &'static Hub, child: &Child, deadline: u64) -> io::Result<()> {
        let mut sources = Vec::with_capacity(3);
        if let Some(pipe) = &child.stdin {
            sources.push((pipe.registered().register(hub)?, Direction::Write));
        }
        if let Some(pipe) = child.stdout.as_ref().filter(|_| self.stdout.is_open) {
            sources.push((pipe.registered().register(hub)?, Direction::Read));
        }
        if let Some(pipe) = child.stderr.as_ref().filter(|_| self.stderr.is_open) {
            sources.push((pipe.registered().register(hub)?, Direction::Read));
        }
        match wait_for_any(hub, &sources, Wait::Child, deadline)? {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Lets others run if it is their turn, and then looks at what ends a wait: bytes that keep coming leave nothing to wait for.
fn make_way(hub: &'static Hub, deadline: u64) -> io::Result<()> {
    let fiber = current::running_fiber();
    if !hub.spend_budget(fiber) {
        return Ok(());
    }
    cancel::throw_if_due(fiber);
    if hub.is_expired.get() {
        return Err(stopped(Wait::Child));
    }
    if deadline != NEVER && hub.clock.now() >= deadline {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(())
}

/// Reads some bytes. Returns whether there were any, or the end.
fn read(
    hub: &'static Hub,
    pipe: &Registered<PipeReader>,
    stream: &mut Stream,
    buffer: &mut [u8],
    bytes_left: &mut usize,
) -> Result<bool, Stop> {
    if !stream.is_open {
        return Ok(false);
    }
    let length = buffer.len().min(*bytes_left);
    let buffer = &mut buffer[..length];
    let taken = attempt(hub, pipe, Direction::Read, |mut end| match length {
        // Whether there is more is all that is asked: what comes may still be read from the pipe.
        0 => has_ended(end).map(|ended| usize::from(!ended)),
        _ => end.read(buffer),
    });
    match taken {
        None => Ok(false),
        Some(Ok(0)) => {
            stream.is_open = false;
            Ok(true)
        }
        Some(Ok(_)) if length == 0 => Err(Stop::TooLong),
        Some(Ok(taken)) => {
            hub.spend_bytes(taken);
            stream.bytes.extend_from_slice(&buffer[..taken]);
            *bytes_left -= taken;
            Ok(true)
        }
        Some(Err(error)) => Err(Stop::Failed(error)),
    }
}

/// Whether nothing comes any more. It would block if nobody can tell yet; no byte is taken.
fn has_ended(pipe: &PipeReader) -> io::Result<bool> {
    let at_once = Timespec::default();
    match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&at_once))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(ioctl_fionread(pipe)? == 0),
    }
}

/// Tries the operation, unless it is known that it would block: then the result is none.
fn attempt<E: AsFd + Send + Sync + 'static, T>(
    hub: &'static Hub,
    pipe: &Registered<E>,
    direction: Direction,
    mut operation: impl FnMut(&E) -> io::Result<T>,
) -> Option<io::Result<T>> {
    let source = pipe.source(hub);
    if source.is_some_and(|source| !source.is_ready(direction)) {
        return None;
    }
    loop {
        match operation(pipe.io()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Some(source) = source {
                    source.clear_ready(direction);
                }
                return None;
            }
            result => return Some(result),
        }
    }
}

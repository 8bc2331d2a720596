//! From the handler to those who listen.
//!
//! ```text
//! handler, on any thread ── a bit in PENDING, a byte into a socket ──> the signal thread
//! the signal thread ── Monitor::change ──> each Signals that wants it
//! ```
//!
//! A handler may call next to nothing, so it leaves the rest to a thread. It writes a byte only if no bit was set, and the thread
//! reads before it takes the bits, so none is left behind. Who begins to listen takes them first, for those before. The handler runs on the alternate stack that every thread with a hub has: a fiber's own may be nearly full.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Pending, Signal};

/// The signals that have come and were not passed on yet, a bit each.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// The handler's end of the socket. It is set before the first handler is installed, and never closed.
static BELL: AtomicI32 = AtomicI32::new(-1);

/// What each signal did before. Set before our handler is installed for it.
static PREVIOUS: [OnceLock<libc::sigaction>; 64] = [const { OnceLock::new() }; 64];

static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());

struct Listener {
    wanted: u64,
    pending: Arc<Pending>,
}

fn listeners() -> MutexGuard<'static, Vec<Listener>> {
    // Nothing under the lock panics half-way.
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn listen(wanted: u64, pending: &Arc<Pending>) {
    let mut listeners = listeners();
    // What has come before is for those who listened before.
    pass_on(&listeners);
    listeners.push(Listener {
        wanted,
        pending: Arc::clone(pending),
    });
}

pub(super) fn listen_no_more(pending: &Arc<Pending>) {
    listeners().retain(|listener| !Arc::ptr_eq(&listener.pending, pending));
}

/// Has the handler called for this signal from now on, if it is not yet.
pub(super) fn install(signal: Signal) -> io::Result<()> {
    static INSTALLED: Mutex<u64> = Mutex::new(0);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed & signal.bit() != 0 {
        return Ok(());
    }
    if BELL.load(Ordering::Acquire) < 0 {
        start_thread()?;
    }
    install_handler(signal).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{signal} cannot be received: {error}"),
        )
    })?;
    *installed |= signal.bit();
    Ok(())
}

fn start_thread() -> io::Result<()> {
    let (bell, mut woken) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    std::thread::Builder::new()
        .name("kapok-signals".to_owned())
        .spawn(move || {
            let mut bytes = [0; 64];
            // Ends never: the other end stays open, and an error is an interruption by a handler that is none of ours.
            loop {
                match woken.read(&mut bytes) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                    _ => pass_on(&listeners()),
                }
            }
        })?;
    BELL.store(bell.into_raw_fd(), Ordering::Release);
    Ok(())
}

/// Under the lock, so that no signal is on its way when somebody begins to listen.
fn pass_on(listeners: &[Listener]) {
    let signals = PENDING.swap(0, Ordering::AcqRel);
    for listener in listeners {
        let new = signals & listener.wanted;
        if new != 0 {
            listener.pending.change(|pending| *pending |= new);
        }
    }
}

fn install_handler(signal: Signal) -> io::Result<()> {
    let mut previous = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with a null action the call only reports the present one, into memory of the right type.
    check(unsafe { libc::sigaction(signal.as_raw(), ptr::null(), previous.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled the record in.
    let previous = unsafe { previous.assume_init() };
    // Set already only if the handler could not be installed then.
    let _ = PREVIOUS[index(signal.as_raw())].set(previous);

    // SAFETY: all-zero bytes are a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // No other signal meanwhile: the alternate stack has room for two or three handlers, not for one of each signal.
    // SAFETY: the mask is a field of our own.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    // SAFETY: the action is filled in, and the handler has the signature that SA_SIGINFO asks for.
    check(unsafe { libc::sigaction(signal.as_raw(), &action, ptr::null_mut()) })
}

fn index(signal: libc::c_int) -> usize {
    (signal - 1) as usize
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    hand_on(signal, info, context);
    let bit = 1 << index(signal);
    if PENDING.fetch_or(bit, Ordering::AcqRel) == 0 {
        ring(BELL.load(Ordering::Acquire));
    }
}

fn ring(bell: RawFd) {
    // SAFETY: the socket is never closed.
    let bell = unsafe { BorrowedFd::borrow_raw(bell) };
    // A write may be called in a handler. On Linux rustix makes the system call itself, so `errno` stays what the interrupted code made
    // it. It fails only if the socket is full, and then the thread is about to look anyway.
    let _ = rustix::io::write(bell, &[0]);
}

/// Calls the handler that was there before ours, if there was one.
fn hand_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(previous) = PREVIOUS[index(signal)].get() else {
        return;
    };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {}
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: neither default nor ignore, so it is a function's address, and SA_SIGINFO gives its signature.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: neither default nor ignore, so it is a function's address; without SA_SIGINFO it takes the signal alone.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Sends a signal to a process. The caller knows that the number still is that process's.
pub(crate) fn send(process: u32, signal: Signal) -> io::Result<()> {
    kill(number(process)?, signal)
}

/// Sends a signal to all processes of the group that was made with this process. The caller knows that the number still is theirs.
pub(crate) fn send_to_group(leader: u32, signal: Signal) -> io::Result<()> {
    kill(-number(leader)?, signal)
}

/// That of a process that can be somebody's child: for those below it the system has other uses.
fn number(process: u32) -> io::Result<libc::pid_t> {
    let number = libc::pid_t::try_from(process).ok();
    let number = number.filter(|number| *number > 1);
    number.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn kill(target: libc::pid_t, signal: Signal) -> io::Result<()> {
    // SAFETY: the call takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(target, signal.as_raw()) })
}

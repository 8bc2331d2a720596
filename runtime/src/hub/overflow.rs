//! Telling a stack overflow by the fiber's name.
//!
//! A fiber that runs into its guard page gets SIGSEGV (SIGBUS on some systems). std's handler knows the guards of threads
//! alone, so ours comes first: if the address lies in the running fiber's guard it writes a line and aborts, otherwise it hands
//! the fault to the handler that was there. It runs on an alternate stack, as the fiber's own is full, and does only what a
//! signal handler may: it reads memory of its own thread and calls `write` and `abort`. It never recovers.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use super::current;
use crate::fiber::FiberSlot;
use crate::fiber::stack::guard_bytes;

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Enough for the handler and for the ones before it; the kernel asks for at least `MINSIGSTKSZ`.
const ALTERNATE_STACK_BYTES: usize = 64 * 1024;

/// What was there before, in the order of [`SIGNALS`].
struct Previous(UnsafeCell<[MaybeUninit<libc::sigaction>; 2]>);

// SAFETY: written once, in `install_handlers`, before `INSTALLED` is set and before our handler can run; only read later.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new([const { MaybeUninit::uninit() }; 2]));

/// Makes overflows on this thread be told. The handlers are installed once a process, the alternate stack once a thread.
pub(crate) fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    INSTALLED
        .get_or_init(|| install_handlers().map_err(|error| error.raw_os_error().unwrap_or(0)))
        .map_err(io::Error::from_raw_os_error)?;
    ensure_alternate_stack()
}

fn install_handlers() -> io::Result<()> {
    for (index, signal) in SIGNALS.into_iter().enumerate() {
        let mut previous = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: with a null action the call only reports the present one, into memory of the right type.
        check(unsafe { libc::sigaction(signal, ptr::null(), previous.as_mut_ptr()) })?;
        let slot = PREVIOUS
            .0
            .get()
            .cast::<MaybeUninit<libc::sigaction>>()
            .wrapping_add(index);
        // SAFETY: the index is below 2, and this is the only writer: `install` calls once, before our handler is there.
        unsafe { slot.write(previous) };

        // SAFETY: all-zero bytes are a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: the action is filled in, and the handler has the signature that SA_SIGINFO asks for.
        check(unsafe { libc::sigaction(signal, &action, ptr::null_mut()) })?;
    }
    Ok(())
}

/// std gives its own threads an alternate stack; other threads get one here, kept for as long as the thread lives and beyond.
fn ensure_alternate_stack() -> io::Result<()> {
    let mut present = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: with a null new stack the call only reports the present one, into memory of the right type.
    check(unsafe { libc::sigaltstack(ptr::null(), present.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled the record in.
    let present = unsafe { present.assume_init() };
    if present.ss_flags & libc::SS_DISABLE == 0 {
        return Ok(());
    }
    let memory = Box::leak(vec![0_u8; ALTERNATE_STACK_BYTES].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: memory.len(),
    };
    // SAFETY: the memory is leaked, so it outlives the thread, and nothing else uses it.
    check(unsafe { libc::sigaltstack(&stack, ptr::null_mut()) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel calls a SA_SIGINFO handler with a valid record.
    let info_record = unsafe { &*info };
    // SAFETY: SIGSEGV and SIGBUS records have an address.
    let address = unsafe { info_record.si_addr() }.addr();
    if let Some(fiber) = current::fiber()
        && let Some(worker) = fiber.worker.get()
        && (worker.memory().bottom().addr().get()
            ..worker.memory().bottom().addr().get() + guard_bytes())
            .contains(&address)
    {
        tell(fiber, worker.memory().bytes());
        // SAFETY: ends the process, which a handler may do.
        unsafe { libc::abort() };
    }
    hand_on(signal, info, context);
}

/// Bytes of a fiber's name that are told.
const NAME_SHOWN: usize = 120;

fn tell(fiber: &FiberSlot, stack_bytes: usize) {
    let mut line = Line {
        bytes: [0; 256],
        length: 0,
    };
    line.push(b"\nkapok: fiber ");
    // Borrowed already only if the overflow happened in the few lines of ours that change it.
    match fiber
        .rare
        .try_borrow()
        .ok()
        .and_then(|rare| rare.as_ref().and_then(|rare| rare.name.clone()))
    {
        Some(name) => {
            let shown = &name[..name.floor_char_boundary(NAME_SHOWN)];
            line.push(b"'");
            line.push(shown.as_bytes());
            line.push(
                if shown.len() == name.len() {
                    "'"
                } else {
                    "'…"
                }
                .as_bytes(),
            );
        }
        None => {
            line.push(b"#");
            line.push_number(fiber.serial.get());
        }
    }
    line.push(b" overflowed its stack of ");
    line.push_number((stack_bytes / 1024) as u64);
    line.push(b" KiB; kapok::Builder::stack_size gives larger ones\n");
    // SAFETY: the bytes are valid for their length; `write` may be called in a handler.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.length) };
}

/// A text put together without allocating.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        let room = self.bytes.len() - self.length;
        let taken = text.len().min(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text[..taken]);
        self.length += taken;
    }

    fn push_number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }
}

/// Gives a fault that is none of ours to the handler before us.
fn hand_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = usize::from(signal != SIGNALS[0]);
    let slot = PREVIOUS
        .0
        .get()
        .cast::<MaybeUninit<libc::sigaction>>()
        .wrapping_add(index);
    // SAFETY: written before this handler was installed, and never again.
    let previous = unsafe { slot.read() };
    // SAFETY: `install_handlers` wrote what the kernel had filled in.
    let previous = unsafe { previous.assume_init() };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // Returning makes the instruction fault again, now with the previous disposition.
            // SAFETY: the action is the one the kernel reported; `sigaction` may be called in a handler.
            unsafe { libc::sigaction(signal, &previous, ptr::null_mut()) };
        }
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

//! What the tests of the runtime share.

pub mod watchdog;

pub use watchdog::Watchdog;

/// Runs `test` on a thread of its own with a hub that is ended after it, and a watchdog.
pub fn on_a_hub<T: Send + 'static>(
    name: &'static str,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    let _watchdog = Watchdog::new(name);
    let result = std::thread::spawn(move || kapok::run(test)).join();
    match result {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Fibers for a test of many: a hundred thousand, or as many as the fallback's guard pages carry in a few tests at once.
pub fn crowd() -> u64 {
    if std::env::var_os("KAPOK_STACK_GUARD").is_some() {
        5_000
    } else {
        100_000
    }
}

/// Lets children end by SIGINT: a shell's background jobs ignore it, and so would the children of one.
pub fn stop_ignoring_interrupts() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the call takes two numbers and installs no code.
        let before = unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
        if before != libc::SIG_IGN {
            // SAFETY: what was there before is put back.
            unsafe { libc::signal(libc::SIGINT, before) };
            return;
        }
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    });
}

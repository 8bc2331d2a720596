//! A dump when the user asks for one.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::dump;
use crate::signal::{Signal, Signals};

/// Has each `SIGQUIT`, which Ctrl-\ sends from a terminal, write a [`dump`] to standard error. From then on the signal does not end the
/// process. Installing it again does nothing. Costs a thread, which sleeps between signals.
///
/// # Errors
///
/// Those of the system, if it refuses the handler or a thread.
///
/// # Examples
///
/// ```
/// kapok::diagnostics::install()?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Source
///
/// What the Java virtual machine and Go do at this signal; here only if asked.
pub fn install() -> io::Result<()> {
    static IS_INSTALLED: Mutex<bool> = Mutex::new(false);
    // Nothing under the lock panics half-way.
    let mut is_installed = IS_INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_installed {
        return Ok(());
    }
    let signals = Signals::new([Signal::SIGQUIT])?;
    std::thread::Builder::new()
        .name("kapok-diagnostics".to_owned())
        .spawn(move || {
            for _signal in &signals {
                // If that fails there is nobody to tell.
                let _ = io::stderr().write_all(dump().to_string().as_bytes());
            }
        })?;
    *is_installed = true;
    Ok(())
}

//! Timers that are set and taken back: limits of operations, and sleeps that are cancelled.

pub(crate) mod monoio_timers;
pub(crate) mod smol_timers;
pub(crate) mod tokio_timers;

use std::time::Duration;

/// The limit around operations that keep it.
const LIMIT: Duration = Duration::from_secs(60 * 60);

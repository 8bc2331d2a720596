//! The stages of a crowd's life, and what is told of them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use peers::memory::{highest_bytes, occupied_bytes};

/// How many tasks have come to the point where they wait.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// How often it is told how many wait, for the case that the program does not survive more of them.
const TOLD_EACH: u64 = 1_000;

/// To be called by each task right before it waits.
pub(crate) fn note_waiting() {
    let waiting = WAITING.fetch_add(1, Ordering::Relaxed) + 1;
    if waiting.is_multiple_of(TOLD_EACH) {
        println!("waiting so far: {waiting} tasks");
    }
}

/// Whether as many tasks wait as were to be started.
pub(crate) fn all_wait(count: u64) -> bool {
    WAITING.load(Ordering::Relaxed) == count
}

/// A crowd that is being started, or, from [`Crowd::note_all_wait`] on, being woken.
#[derive(Debug)]
pub(crate) struct Crowd {
    system: &'static str,
    count: u64,
    bytes_before: u64,
    stage_began: Instant,
}

impl Crowd {
    /// To be called before anything of the runtime exists.
    pub(crate) fn new(system: &'static str, count: u64) -> io::Result<Self> {
        Ok(Self {
            system,
            count,
            bytes_before: occupied_bytes()?,
            stage_began: Instant::now(),
        })
    }

    /// To be called when all wait and before the first is woken.
    pub(crate) fn note_all_wait(&mut self) -> io::Result<()> {
        self.tell_time("start");
        self.tell_bytes("memory while all wait", occupied_bytes()?);
        self.stage_began = Instant::now();
        Ok(())
    }

    /// To be called when the last task has been waited for.
    pub(crate) fn note_all_ended(&self) -> io::Result<()> {
        self.tell_time("wake and join");
        self.tell_bytes("memory at its highest", highest_bytes()?);
        Ok(())
    }

    fn tell_time(&self, row: &str) {
        let nanoseconds = self.stage_began.elapsed().as_nanos() as f64 / self.count as f64;
        println!("{} {row}: {nanoseconds:.1} ns", self.system);
    }

    fn tell_bytes(&self, row: &str, bytes: u64) {
        let each = bytes.saturating_sub(self.bytes_before) as f64 / self.count as f64;
        println!("{} {row}: {each:.0} B", self.system);
    }
}

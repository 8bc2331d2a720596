//! A list of all fibers.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::Wait;
use crate::hub::current;
use crate::hub::registry::{OpenHub, open_hubs};
use crate::hub::remote::Message;
use crate::hub::survey::FiberRecord;
use crate::task::{JoinError, Packet};

/// A hub that has not answered by then is held by one of its fibers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Slots that are looked at in one turn of a hub: less than a millisecond.
const SLOTS_A_TURN: u32 = 4096;

/// Asks all hubs of the process for their fibers. May be called from any thread.
///
/// Each hub answers in its own time, between its fibers' turns: what is told of two fibers need not have been so at one moment. A hub
/// with many fibers answers in parts, and runs its fibers in between. One that does not answer within a second is told to be held.
///
/// # Examples
///
/// ```
/// use kapok::{Builder, diagnostics, park};
///
/// let fiber = Builder::new().name("idle").spawn(park)?;
/// kapok::yield_now();
/// let dump = diagnostics::dump();
/// let text = dump.to_string();
/// assert!(text.contains("'idle'") && text.contains("is parked"), "{text}");
/// # drop(fiber);
/// # std::io::Result::Ok(())
/// ```
#[switchpoint(wakes = "the hubs' answers", cancel = "nothing is left behind")]
pub fn dump() -> Dump {
    let asked: Vec<_> = open_hubs().into_iter().map(Asked::new).collect();
    let deadline = Instant::now() + PATIENCE;
    let hubs = asked.into_iter().filter_map(|asked| asked.answer(deadline));
    Dump {
        hubs: hubs.collect(),
    }
}

/// A hub that was asked, and where its answer comes.
struct Asked {
    hub: OpenHub,
    packet: Arc<Packet<Vec<FiberRecord>>>,
}

impl Asked {
    fn new(hub: OpenHub) -> Self {
        let packet = Packet::new();
        let question = Question {
            hub: hub.clone(),
            next: 0,
            records: Vec::new(),
            packet: Arc::clone(&packet),
        };
        question.send();
        Self { hub, packet }
    }

    /// None if the hub has ended.
    fn answer(self, deadline: Instant) -> Option<HubDump> {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = self.packet.wait_timeout(Wait::Dump, left).transpose();
        let records = answer.ok()?;
        Some(HubDump {
            number: self.hub.number,
            thread: self.hub.thread.name().map(str::to_owned),
            fibers: records.map(|records| records.into_iter().map(FiberDump).collect()),
        })
    }
}

/// What a hub is asked, with what it has told so far.
struct Question {
    hub: OpenHub,
    /// The slot to go on with.
    next: u32,
    records: Vec<FiberRecord>,
    packet: Arc<Packet<Vec<FiberRecord>>>,
}

impl Question {
    fn send(self) {
        let (remote, epoch) = (self.hub.remote, self.hub.epoch);
        // What a hub that has ended gives back is dropped, and says so.
        drop(remote.send(epoch, Message::Spawn(Box::new(move || self.look()))));
    }

    /// On the hub's loop.
    fn look(mut self) {
        match current::hub().survey(self.next, SLOTS_A_TURN, &mut self.records) {
            Some(next) => {
                self.next = next;
                self.send();
            }
            None => (self.packet).complete(Ok(std::mem::take(&mut self.records))),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // Nothing happens if it was answered.
        self.packet.complete(Err(JoinError::HubEnded));
    }
}

/// All fibers of the process, by their hubs. It reads as a list.
#[derive(Debug)]
pub struct Dump {
    hubs: Vec<HubDump>,
}

impl Dump {
    /// The hubs, in the order in which they were made.
    #[must_use]
    pub fn hubs(&self) -> &[HubDump] {
        &self.hubs
    }

    /// How many fibers were spawned at each place, the most first: a place that spawns more and more is a leak.
    #[must_use]
    pub fn spawn_places(&self) -> Vec<(&'static Location<'static>, usize)> {
        let fibers = self.hubs.iter().filter_map(HubDump::fibers).flatten();
        let mut counts = HashMap::new();
        for place in fibers.filter_map(FiberDump::spawned_at) {
            *counts.entry(place).or_insert(0) += 1;
        }
        let mut places: Vec<_> = counts.into_iter().collect();
        places.sort_unstable_by_key(|(place, count)| {
            (usize::MAX - count, place.file(), place.line())
        });
        places
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.hubs.iter()).try_for_each(|hub| write!(formatter, "{hub}"))
    }
}

/// The fibers of a hub.
#[derive(Debug)]
pub struct HubDump {
    number: u64,
    thread: Option<String>,
    /// None if it did not answer.
    fibers: Option<Vec<FiberDump>>,
}

impl HubDump {
    /// Counts the hubs of the process in the order in which they were made.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its thread's name.
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// Its fibers; none if it did not answer, as one of them has held it for a second.
    #[must_use]
    pub fn fibers(&self) -> Option<&[FiberDump]> {
        self.fibers.as_deref()
    }
}

impl fmt::Display for HubDump {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = self.thread.as_deref().unwrap_or("without a name");
        write!(formatter, "hub {} on thread {thread}: ", self.number)?;
        let Some(fibers) = &self.fibers else {
            return writeln!(formatter, "a fiber holds it, so it does not answer");
        };
        writeln!(formatter, "{} fibers", fibers.len())?;
        (fibers.iter()).try_for_each(|fiber| writeln!(formatter, "  {fiber}"))
    }
}

/// A fiber, as it was when its hub was asked.
#[derive(Debug)]
pub struct FiberDump(FiberRecord);

impl FiberDump {
    /// Unique among the fibers of its hub.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.serial
    }

    /// Its name, if it was given one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Where it was spawned; none for a hub's root fiber, which is the thread itself.
    #[must_use]
    pub fn spawned_at(&self) -> Option<&'static Location<'static>> {
        self.0.spawned_at
    }

    /// Whether it waits. Otherwise it is ready to run and waits for its turn.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.wait.is_some()
    }

    /// What it does, in words: "waits for a message".
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.0.state()
    }

    /// Whether it was cancelled and has not ended yet.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled
    }
}

impl fmt::Display for FiberDump {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

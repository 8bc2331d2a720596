//! What a hub tells of its fibers.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::Hub;
use crate::fiber::FiberSlot;
use crate::fiber::slot::{Wait, attention, flag};

/// A fiber as it was when its hub was asked.
#[derive(Debug)]
pub(crate) struct FiberRecord {
    pub(crate) serial: u64,
    pub(crate) name: Option<Arc<str>>,
    /// None for a root fiber.
    pub(crate) spawned_at: Option<&'static Location<'static>>,
    /// What it waits for, if it does.
    pub(crate) wait: Option<Wait>,
    pub(crate) is_cancelled: bool,
}

impl FiberRecord {
    /// What the fiber does, in words.
    pub(crate) fn state(&self) -> &'static str {
        self.wait.map_or("is ready to run", Wait::words)
    }
}

impl fmt::Display for FiberRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = self.serial;
        match &self.name {
            Some(name) => write!(formatter, "'{name}' (#{serial})")?,
            None => write!(formatter, "#{serial}")?,
        }
        match self.spawned_at {
            Some(place) => write!(formatter, " spawned at {place}")?,
            None => formatter.write_str(", the thread itself")?,
        }
        write!(formatter, ", {}", self.state())?;
        if self.is_cancelled {
            formatter.write_str(", was cancelled")?;
        }
        Ok(())
    }
}

impl Hub {
    /// Takes note of the fibers in `most` slots from `first` on. Returns where to go on, if there are more. To be called on the loop,
    /// where no fiber runs.
    pub(crate) fn survey(
        &self,
        first: u32,
        most: u32,
        records: &mut Vec<FiberRecord>,
    ) -> Option<u32> {
        let (root, end) = (self.root(), first.saturating_add(most));
        let slots = (first..end.min(self.slots.len())).filter_map(|index| self.slots.at(index));
        records.extend(
            slots
                .filter(|fiber| fiber.has(flag::LIVE) || std::ptr::eq(*fiber, root))
                .map(|fiber| fiber.record(std::ptr::eq(fiber, root))),
        );
        (end < self.slots.len()).then_some(end)
    }
}

impl FiberSlot {
    pub(super) fn record(&self, is_root: bool) -> FiberRecord {
        FiberRecord {
            serial: self.serial.get(),
            name: self.name(),
            spawned_at: (!is_root).then(|| self.spawned_at.get()),
            wait: self.has(flag::PARKED).then(|| self.wait.get()),
            is_cancelled: self.attention.get() & attention::CANCELLED != 0,
        }
    }
}

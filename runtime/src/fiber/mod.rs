//! Fibers' control blocks and stacks. Nothing here runs a fiber: the hub does.

pub(crate) mod error;
pub(crate) mod here;
pub(crate) mod pool;
pub(crate) mod slot;
pub(crate) mod stack;
pub(crate) mod store;
pub(crate) mod worker;

pub(crate) use slot::FiberSlot;

//! The codec: bytes and limits in, events out. No socket, no clock, no switchpoint.
//!
//! `scan` finds where a head ends, `head` parses and checks it, `target` knows the forms of a request target and of a host,
//! `framing` what fields say of the body and the connection; `encode` writes response heads, `date` writes dates.

pub(crate) use date::DateLine;
pub(crate) use encode::{BodyRule, encode_head};
pub(crate) use framing::Persistence;
pub(crate) use head::{HeadParser, Parsed, RequestHead};

mod date;
mod encode;
mod framing;
mod head;
mod scan;
mod target;

//! The codec: bytes and limits in, events out. No socket, no clock, no switchpoint.
//!
//! `head` parses and checks request heads: plain ones in one pass (`head::plain`), the others with `scan`, which finds where a
//! head ends, and httparse. `target` knows the forms of a request target and of a host, `framing` what fields say of the body
//! and the connection, `chunked` decodes chunked bodies, `words` looks at eight bytes at once; `encode` writes response heads,
//! `head_cache` repeats them, `date` writes dates.

pub(crate) use chunked::{ChunkedDecoder, Decoded, may_be_trailer};
pub(crate) use date::DateLine;
pub(crate) use encode::{Coding, Requested, encode_informational, encode_switch};
pub(crate) use framing::{BodyLength, Persistence};
pub(crate) use head::{HeadParser, Parsed, RequestHead};
pub(crate) use head_cache::HeadCache;

mod chunked;
mod date;
mod encode;
mod framing;
mod head;
mod head_cache;
mod scan;
mod target;
mod words;

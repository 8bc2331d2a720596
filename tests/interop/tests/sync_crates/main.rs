//! Synchronous crates over kapok's streams, rustls and tungstenite: at work, and cut off in the middle.
//!
//! They know nothing of fibers. What ends them is an unwinding that starts in a read or a write of theirs.

mod every_call;
mod peers;
mod scopes;
mod select;
mod support;
mod timeouts;
mod tls;
mod websocket;

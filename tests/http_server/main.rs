//! The HTTP server over loopback connections: what its peers see, byte by byte. Peers and servers are fibers of one hub.
//!
//! The groups follow the server tests of hyper (`tests/server.rs`); which of them has which counterpart here stands in
//! `docs/conformance.md`. Nothing sleeps: fibers wait for bytes and for gates, and where a limit of time itself is tested it is short.

#[expect(dead_code, reason = "some of it is for the runtime's tests")]
#[path = "../support/mod.rs"]
mod support;

mod peer;
mod watched;

mod continues;
mod drains;
mod failures;
mod head_limits;
mod informational;
mod limits;
mod observers;
mod persistence;
mod pipelines;
mod requests;
mod responses;
mod slow;
mod stopping;
mod streaming;
mod trailers;
mod upgrades;

//! HTTP/1.1 for servers: plain blocking handlers over any stream of bytes.
//!
//! A [`Handler`] gets a [`Request`] and returns a [`Response`]; a [`Server`] gives each connection a fiber, and
//! [`serve_connection`] does the rest for one connection. It reads
//! into one buffer, answers every request that is in it and writes the answers with one call, so a client that pipelines costs
//! one read and one write for a whole batch. Request heads stay raw bytes: [`Request::header`] looks into them, and a
//! [`HeaderMap`] or [`Uri`] is made only for a handler that asks for one.
//!
//! What the peer sends is checked strictly, since two programs that disagree on where a request ends can be played against
//! each other. Bare LF, two `Host` or `Content-Length` fields, `Content-Length` with `Transfer-Encoding`, folded lines and
//! blanks before a colon are refused with a 4xx or 5xx status. After a refusal nothing of that connection is parsed any more.
//!
//! # Not yet
//!
//! - Chunked bodies and streaming: request bodies are buffered whole up to [`Config::body_bytes_max`], response bodies are in
//!   memory. A request with `Transfer-Encoding` is refused with 501 and the connection ends.
//! - `Expect: 100-continue` is refused with 417 and the connection ends. RFC 9110 section 10.1.1 has clients repeat the request
//!   without it; not all do. curl 7.88, which sends it with bodies over 1 MiB, does not: give it `-H Expect:`.
//! - `CONNECT` is refused with 501 and the connection ends. `Upgrade` is ignored, as RFC 9110 section 7.8 lets a server do.
//! - Limits on the time of a whole request: a [`Server`] limits each single wait for the peer.
//!
//! # Examples
//!
//! ```
//! use std::time::SystemTime;
//! use kapok::http::{self, Config, Request, Response};
//!
//! fn app(request: &mut Request<'_>) -> Response {
//!     match request.path() {
//!         "/" => Response::text("Hello, World!"),
//!         _ => Response::not_found(),
//!     }
//! }
//!
//! # struct Peer(std::io::Cursor<&'static [u8]>, Vec<u8>);
//! # impl std::io::Read for Peer {
//! #     fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> { self.0.read(buffer) }
//! # }
//! # impl std::io::Write for Peer {
//! #     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> { self.1.write(bytes) }
//! #     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # fn main() -> Result<(), http::ServeError> {
//! # let mut stream = Peer(std::io::Cursor::new(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), Vec::new());
//! let end = http::serve_connection(&mut stream, &Config::new(), &app, SystemTime::now)?;
//! # assert_eq!(end, http::ConnectionEnd::PeerClosed);
//! # assert!(stream.1.ends_with(b"Hello, World!"));
//! # Ok(())
//! # }
//! ```

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};

pub use config::Config;
pub use error::{Refusal, ServeError};
pub use request::{RawHeaders, Request};
pub use response::{Body, Response};
pub use server::{ConnectionEnd, Handler, RunningServer, Server, serve_connection};

mod config;
mod error;
mod request;
mod response;
mod server;
mod wire;

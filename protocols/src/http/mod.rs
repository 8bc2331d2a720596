//! HTTP/1.1 for servers: plain blocking handlers over any stream of bytes.
//!
//! A [`Handler`] gets a [`Request`] and returns a [`Response`]; a [`Server`] gives each connection a fiber, and
//! [`serve_connection`] does the rest for one connection. It reads
//! into one buffer, answers every request that is in it and writes the answers with one call, so a client that pipelines costs
//! one read and one write for a whole batch. Request heads stay raw bytes: [`Request::header`] looks into them, and a
//! [`HeaderMap`] or [`Uri`] is made only for a handler that asks for one.
//!
//! The body of a request is read when the handler asks for it, whole by [`Request::read_body`] or piece by piece by
//! [`Request::body`]. A response has its body in memory, made by a reader ([`Body::from_reader`]), or written by the handler while it
//! reads ([`Request::start_response`]). [`Response::switch`] and [`Response::tunnel`] hand the stream over.
//!
//! What the peer sends is checked strictly, since two programs that disagree on where a request ends can be played against
//! each other. Bare LF, two `Host` or `Content-Length` fields, `Content-Length` with `Transfer-Encoding`, folded lines and
//! blanks before a colon are refused with a 4xx or 5xx status. After a refusal nothing of that connection is parsed any more. All
//! that a peer can make long, many or slow has a limit in [`Config`].
//!
//! # Examples
//!
//! ```
//! use std::io::{Read, Write};
//! use kapok::http::{self, Config, Request, Response};
//! use kapok::net::{TcpListener, TcpStream};
//!
//! fn app(request: &mut Request<'_>) -> Response {
//!     match request.path() {
//!         "/" => Response::text("Hello, World!"),
//!         _ => Response::not_found(),
//!     }
//! }
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! let (stream, _) = listener.accept()?;
//! let server = kapok::spawn(move || http::serve_connection(stream, &Config::new(), &app));
//!
//! client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("Hello, World!"));
//! assert_eq!(server.join()??, http::ConnectionEnd::ServerClosed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};

pub use body::Body;
pub use config::Config;
pub use error::{BodyError, ConnectionEnd, Refusal, ServeError};
pub use request::{RawHeaders, Request};
pub use response::Response;
pub use server::{
    AccessLog, Answered, BodyReader, BodyWriter, Handler, Observer, RunningServer, Server,
    Upgraded, serve_connection,
};

mod body;
mod config;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod request;
mod response;
mod server;
mod wire;

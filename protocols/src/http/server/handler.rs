//! What answers requests.

use crate::http::request::Request;
use crate::http::response::Response;

/// Answers requests.
///
/// Implemented by closures and functions that take `&mut Request<'_>` and return something that turns into a [`Response`], which
/// a `Result` of two such things does too. A closure must name the type of its argument, since Rust infers it from no other trait
/// than its own.
///
/// # Examples
///
/// ```
/// use kapok::http::{Handler, Request, Response, StatusCode};
///
/// fn app() -> impl Handler {
///     |request: &mut Request<'_>| match request.path() {
///         "/" => Response::text("Hello, World!"),
///         _ => Response::not_found(),
///     }
/// }
/// # let _ = app();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle HTTP requests",
    label = "not a handler",
    note = "a handler is `Fn(&mut Request<'_>) -> R` where `R: Into<Response>`; a closure must name the type of its argument: `|request: &mut Request<'_>| ...`"
)]
pub trait Handler {
    /// Answers one request.
    ///
    /// A `HEAD` request may be answered like `GET`: its body is not sent. What the handler left unread of the request's body is
    /// thrown away. After a panic the peer gets a 500, and the connection ends; the panic hook has told of it.
    fn handle(&self, request: &mut Request<'_>) -> Response;
}

impl<F, R> Handler for F
where
    F: Fn(&mut Request<'_>) -> R,
    R: Into<Response>,
{
    #[inline]
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self(request).into()
    }
}

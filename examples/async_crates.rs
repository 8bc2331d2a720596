//! An async crate on fibers: hyper serves HTTP/2, and its handlers wait as fibers do.
//!
//! Run it with `cargo run --release --example async_crates --features async_crates [PORT|ADDRESS]` (default 127.0.0.1:8080) and
//! ask it with `curl --http2-prior-knowledge http://127.0.0.1:8080/some/path`. The feature adds hyper, which other programs of
//! this folder do without.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use kapok::future::Async;
use kapok::net::{TcpListener, TcpStream};

mod arguments;

fn main() -> io::Result<()> {
    let arguments = arguments::parse("127.0.0.1:8080").map_err(io::Error::other)?;
    let listener = TcpListener::bind(arguments.address)?;
    let address = listener.local_addr()?;
    println!("serving on {address}; try: curl --http2-prior-knowledge http://{address}/");
    for stream in listener.incoming() {
        let stream = Stream(Async::new(stream?));
        // A fiber for each connection; hyper asks for more of them, one a request.
        drop(kapok::spawn(move || serve(stream)));
    }
    Ok(())
}

fn serve(stream: Stream) {
    let connection = http2::Builder::new(Fibers).serve_connection(stream, service_fn(answer));
    // `block_on` is all it takes: the future waits, and the thread's other fibers run.
    if let Err(error) = kapok::block_on(connection) {
        eprintln!("a connection failed: {error}");
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().to_owned();
    // From async code to blocking code: a fiber is a future of its result.
    let report = kapok::spawn(move || look_up(&path)).await;
    let report = report.unwrap_or_else(|error| format!("it failed: {error}\n"));
    Ok(Response::new(report))
}

/// Plain blocking code, which may take its time.
fn look_up(path: &str) -> String {
    kapok::sleep(Duration::from_millis(20));
    format!("looked {path} up on a fiber\n")
}

/// hyper's executor: each task is a fiber.
#[derive(Clone)]
struct Fibers;

impl<F: Future + 'static> hyper::rt::Executor<F> for Fibers {
    fn execute(&self, future: F) {
        drop(kapok::future::spawn(future));
    }
}

/// hyper has traits of its own for streams. Crates that take tokio's or the `futures` crates' are given an `Async` as it is.
struct Stream(Async<TcpStream>);

impl hyper::rt::Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; 8192];
        let room = cursor.remaining().min(buffer.len());
        let count = ready!(self.0.poll_read(context, &mut buffer[..room]))?;
        cursor.put_slice(&buffer[..count]);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown_write())
    }
}

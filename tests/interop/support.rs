//! What the tests share: a hub with a watchdog, and fibers in the words of hyper.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use kapok::future::Async;
use kapok::net::{TcpListener, TcpStream};

#[path = "../support/watchdog.rs"]
pub mod watchdog;

/// Runs `test` on a thread of its own with a hub that is ended after it, and a watchdog.
pub fn on_a_hub(name: &'static str, test: impl FnOnce() + Send + 'static) {
    let _watchdog = watchdog::Watchdog::new(name);
    if let Err(payload) = std::thread::spawn(move || kapok::run(test)).join() {
        std::panic::resume_unwind(payload);
    }
}

/// Runs hyper's tasks on fibers.
#[derive(Clone, Copy, Debug)]
pub struct Fibers;

impl<F> hyper::rt::Executor<F> for Fibers
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        drop(kapok::future::spawn(future));
    }
}

impl hyper::rt::Timer for Fibers {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(kapok::future::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(kapok::future::sleep_until(deadline)))
    }
}

/// hyper wants its own trait on it.
struct Sleep(kapok::future::Sleep);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl hyper::rt::Sleep for Sleep {}

/// Accepts connections on a free port, each on a fiber of its own, until the hub ends.
pub fn serve(connection: impl Fn(Async<TcpStream>) + Clone + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(kapok::spawn(move || {
        for stream in listener.incoming() {
            let (stream, connection) = (Async::new(stream.unwrap()), connection.clone());
            drop(kapok::spawn(move || connection(stream)));
        }
    }));
    Ok(address)
}

/// A connection in hyper's words.
pub fn connect(address: SocketAddr) -> io::Result<TokioIo<Async<TcpStream>>> {
    Ok(TokioIo::new(Async::new(TcpStream::connect(address)?)))
}

/// Bytes that are the same nowhere near.
pub fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| ((index / 7 + index * 31 + seed) % 251) as u8)
        .collect()
}

/// The guide's chapter: its programs need the crates of this package.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/async_crates.md")]
struct AsyncCrates;

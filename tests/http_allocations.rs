//! Steady state allocates nothing. Its own binary because it replaces the allocator of the whole process.

#[path = "support/in_memory.rs"]
mod in_memory;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Read, Write};

use in_memory::InMemory;

use kapok::http::{Config, ConnectionEnd, Request, Response, serve_connection};

struct Counting;

thread_local! {
    /// Per thread, because the test harness allocates in its own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that were allocated and not given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn hold(bytes: isize) {
    HELD.set(HELD.get() + bytes);
}

// SAFETY: every call goes to the system's allocator with the arguments unchanged; the counter is a thread-local that needs
// neither an initialiser nor a destructor, so counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        hold(layout.size() as isize);
        // SAFETY: the caller's promise is the one `System` needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: `pointer` came from `System` with this layout, as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        hold(size as isize - layout.size() as isize);
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Sends the same batch with each read and notes the count of allocations then.
struct Peer {
    batch: Vec<u8>,
    counts: Vec<u64>,
    written: usize,
}

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.counts.len() == self.counts.capacity() {
            return Ok(0);
        }
        self.counts.push(ALLOCATIONS.get());
        (&self.batch[..]).read(buffer)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn app(request: &mut Request<'_>) -> Response {
    match (request.path(), request.header("accept")) {
        ("/plaintext", _) => Response::text("Hello, World!").with_content_type("text/plain"),
        _ => Response::not_found(),
    }
}

/// Serves `rounds` reads of `request` sixteen times and returns the allocations from the second read to the last.
fn allocations_after_the_first_batch(request: &str, rounds: usize) -> u64 {
    let connection = InMemory::new(Peer {
        batch: request.repeat(16).into_bytes(),
        counts: Vec::with_capacity(rounds),
        written: 0,
    });
    let peer = connection.handle();
    let end = serve_connection(connection, &Config::new(), &app).expect("served");
    assert_eq!(end, ConnectionEnd::PeerClosed);
    let peer = peer.borrow();
    assert!(peer.written > rounds * 16 * 100);
    peer.counts[rounds - 1] - peer.counts[1]
}

#[test]
fn small_requests_and_answers_cost_no_allocation() {
    let plain = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:17001\r\n\r\n";
    let fields = "POST /nowhere?a=b HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(allocations_after_the_first_batch(plain, 1_000), 0);
    assert_eq!(allocations_after_the_first_batch(fields, 1_000), 0);
}

/// Sends one request and notes what is held while the server waits for the next.
struct Idle {
    request: io::Cursor<Vec<u8>>,
    held: isize,
}

impl Read for Idle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.held = HELD.get();
        self.request.read(buffer)
    }
}

impl Write for Idle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_idle_connection_holds_little() {
    let length = 1_000_000;
    let body = "x".repeat(length);
    for framed in [
        format!("Content-Length: {length}\r\n\r\n{body}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{framed}").into_bytes();
        let connection = InMemory::new(Idle {
            request: io::Cursor::new(request),
            held: 0,
        });
        let peer = connection.handle();
        let before = HELD.get();
        let app =
            |request: &mut Request<'_>| request.read_body().map(|body| body.len().to_string());
        serve_connection(connection, &Config::new(), &app).expect("served");
        let held = peer.borrow().held - before;
        assert!(held < 16 * 1024, "{held} bytes");
    }
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

//! Echo on may.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use may::go;
use may::net::{TcpListener, TcpStream};
use peers::ECHO_BUFFER_BYTES;

/// Serves each connection in a coroutine.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // One worker, as every system here has one thread. The harness pins the whole process, so may need not.
    may::config().set_workers(1).set_worker_pin(false);
    let listener = TcpListener::bind(address)?;
    go!(move || accept(&listener))
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the accepting coroutine panicked")))
}

fn accept(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        go!(move || echo(stream));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    // On the heap: half of may's default stack of 32 KiB is too much for a buffer.
    let mut buffer = vec![0; ECHO_BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

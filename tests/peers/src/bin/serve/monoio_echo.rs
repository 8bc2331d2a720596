//! Echo on monoio, on either of its two drivers.

use std::io;
use std::net::SocketAddr;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use peers::ECHO_BUFFER_BYTES;

/// Serves on epoll, as every other system here does and as monoio itself does where io_uring is switched off.
pub(crate) fn serve_on_epoll(address: SocketAddr) -> io::Result<()> {
    RuntimeBuilder::<LegacyDriver>::new()
        .build()?
        .block_on(accept(address))
}

/// Serves on io_uring, the driver monoio was made for. Fails at once where the kernel or a container forbids it.
pub(crate) fn serve_on_io_uring(address: SocketAddr) -> io::Result<()> {
    RuntimeBuilder::<IoUringDriver>::new()
        .build()?
        .block_on(accept(address))
}

async fn accept(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monoio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    // The driver owns the buffer during a call and gives it back; one allocation a connection does.
    let mut buffer = vec![0; ECHO_BUFFER_BYTES];
    loop {
        let (count, received) = stream.read(buffer).await;
        buffer = received;
        match count? {
            0 => return Ok(()),
            count => buffer.truncate(count),
        }
        let (written, sent) = stream.write_all(buffer).await;
        written?;
        buffer = sent;
        buffer.resize(ECHO_BUFFER_BYTES, 0);
    }
}

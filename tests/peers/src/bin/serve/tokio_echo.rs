//! Echo on tokio.

use std::io;
use std::net::SocketAddr;

use peers::ECHO_BUFFER_BYTES;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// Serves each connection in a task.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // One thread without work stealing, which would cost atomics and gain nothing here. The time driver stays off, since
    // nothing here sleeps: with it, every turn reads the clock.
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(accept(address))
}

async fn accept(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; ECHO_BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

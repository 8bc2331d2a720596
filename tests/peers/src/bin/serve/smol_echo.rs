//! Echo on smol.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use peers::ECHO_BUFFER_BYTES;
use smol::LocalExecutor;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

/// Serves each connection in a task.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    // The executor of one thread: its queue is shared with nobody. `smol::block_on` polls for I/O on this same thread
    // between tasks, so that no message crosses threads.
    let executor = Rc::new(LocalExecutor::new());
    smol::block_on(executor.run(accept(address, Rc::clone(&executor))))
}

async fn accept(address: SocketAddr, executor: Rc<LocalExecutor<'static>>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        executor.spawn(echo(stream)).detach();
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

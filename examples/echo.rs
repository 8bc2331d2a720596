//! A TCP echo server on every core: what comes in goes back.
//!
//! Run it with `cargo run --release --example echo [PORT|ADDRESS] [--hubs N]` (default 127.0.0.1:7000, one hub a core), and
//! talk to it with `nc 127.0.0.1 7000`.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Mutex;

use kapok::net::{TcpListener, TcpStream};
use kapok::{Hubs, HubsConfig};

mod arguments;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse("127.0.0.1:7000")?;
    let hubs = match arguments.hubs {
        Some(1) => {
            // One hub needs no thread of its own: this thread's serves.
            let listener = TcpListener::bind(arguments.address)?;
            announce(listener.local_addr()?);
            return Ok(serve(&listener)?);
        }
        Some(count) => Hubs::new(HubsConfig::new().count(count)),
        None => Hubs::default(),
    };
    let listeners = TcpListener::bind_shared(arguments.address, hubs.count())?;
    announce(listeners[0].local_addr()?);

    // One listener a hub: the kernel spreads the connections over them.
    let listeners = Mutex::new(listeners);
    let running = hubs.start(move |_hub| {
        let listener = listeners.lock().ok().and_then(|mut left| left.pop());
        serve(&listener.expect("one listener a hub"))
    })?;
    Ok(running.join()?)
}

fn announce(address: SocketAddr) {
    let (ip, port) = (address.ip(), address.port());
    println!("echoing on {address}; try: nc {ip} {port}");
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _peer) = listener.accept()?;
        stream.set_nodelay(true)?;
        // Dropping the handle lets the fiber run on its own.
        drop(kapok::spawn(move || echo(stream)));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

//! A TCP echo server on every core: what comes in goes back.
//!
//! Run it with `cargo run --release --example echo [PORT|ADDRESS] [--hubs N]` (default 127.0.0.1:7000, one hub a core), and
//! talk to it with `nc 127.0.0.1 7000`. Ctrl-C ends it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use kapok::net::{TcpListener, TcpStream};
use kapok::signal::{Signal, Signals};
use kapok::sync::Event;
use kapok::{Hubs, HubsConfig};

mod arguments;

/// Set by Ctrl-C; fibers of all hubs wait for it.
static STOP: Event = Event::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse("127.0.0.1:7000")?;
    // Before anybody is served: from here on Ctrl-C is an event.
    let signals = Signals::new([Signal::SIGINT])?;
    drop(kapok::spawn(move || {
        signals.recv();
        STOP.set();
    }));
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
    let running = hubs.start_each(listeners, |_hub, listener| serve(&listener))?;
    Ok(running.join()?)
}

fn announce(address: SocketAddr) {
    let (ip, port) = (address.ip(), address.port());
    println!("echoing on {address}; try: nc {ip} {port}");
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    let closed_at_the_end = listener.try_clone()?;
    drop(kapok::spawn(move || {
        STOP.wait();
        closed_at_the_end.close();
    }));
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        // Dropping the handle lets the fiber run on its own.
        drop(kapok::spawn(move || echo(stream)));
    }
    // Who is still connected is unwound.
    kapok::drain(Duration::ZERO).map_err(io::Error::other)
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

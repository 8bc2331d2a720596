//! An HTTP server on every core.
//!
//! Run it with `cargo run --release --example hello_http [PORT|ADDRESS] [--hubs N]` (default 127.0.0.1:8080, one hub a core),
//! and ask it with `curl http://127.0.0.1:8080/plaintext`.

use std::net::SocketAddr;

use kapok::http::{Request, Response, Server};
use kapok::net::TcpListener;
use kapok::{Hubs, HubsConfig};

mod arguments;

fn app(request: &mut Request<'_>) -> Response {
    match request.path() {
        "/plaintext" => Response::text("Hello, World!"),
        _ => Response::not_found(),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse("127.0.0.1:8080")?;
    let server = Server::new();
    let refused = |error| format!("{}: {error}", arguments.address);
    let hubs = match arguments.hubs {
        Some(1) => {
            // One hub needs no thread of its own: this thread's serves.
            let listener = TcpListener::bind(arguments.address).map_err(refused)?;
            announce(listener.local_addr()?);
            return Ok(server.serve(listener, app)?);
        }
        Some(count) => Hubs::new(HubsConfig::new().count(count)),
        None => Hubs::default(),
    };
    let running = server
        .start(hubs, arguments.address, || app)
        .map_err(refused)?;
    announce(running.address());
    Ok(running.join()?)
}

fn announce(address: SocketAddr) {
    println!("serving on {address}; try: curl http://{address}/plaintext");
}

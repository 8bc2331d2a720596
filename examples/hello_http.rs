//! An HTTP server on every core.
//!
//! Run it with `cargo run --release --example hello_http [PORT|ADDRESS] [--hubs N]` (default 127.0.0.1:8080, one hub a core),
//! and ask it with `curl http://127.0.0.1:8080/plaintext`.

use kapok::http::{Request, Response, Server};
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
    let config = HubsConfig::new();
    let hubs = Hubs::new(match arguments.hubs {
        Some(count) => config.count(count),
        None => config,
    });
    let server = Server::new().start(hubs, arguments.address, || app)?;
    println!(
        "serving on {0}; try: curl http://{0}/plaintext",
        server.address()
    );
    Ok(server.join()?)
}

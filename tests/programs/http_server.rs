//! The server that tests and measurements drive from outside: one path for each thing a server can do.
//!
//! `http_server [PORT|ADDRESS] [--hubs N] [--impatient]` prints the address it serves in its first line. With `--impatient` it waits
//! for a peer no longer than about a second, at anything.

use std::io::{self, Read, Write};
use std::time::Duration;

use kapok::http::{
    Body, BodyError, Config, HeaderMap, HeaderName, HeaderValue, Request, Response, Server,
    StatusCode, header,
};
use kapok::net::TcpListener;
use kapok::{Hubs, HubsConfig};

#[allow(dead_code, reason = "the examples know no flags of their own")]
#[path = "../../examples/arguments/mod.rs"]
mod arguments;

fn app(request: &mut Request<'_>) -> io::Result<Response> {
    let path = request.path();
    if let Some(count) = path.strip_prefix("/bytes/").and_then(|it| it.parse().ok()) {
        return Ok(Response::bytes(Body::sized_reader(io::repeat(b'x'), count)));
    }
    if let Some(count) = path.strip_prefix("/stream/").and_then(|it| it.parse().ok()) {
        return Ok(Response::bytes(Body::from_reader(
            io::repeat(b'x').take(count),
        )));
    }
    Ok(match path {
        "/plaintext" => Response::text("Hello, World!"),
        "/large" => Response::bytes(&LARGE),
        "*" => Response::new(StatusCode::OK),
        "/describe" => describe(request)?,
        "/echo" => return echo(request),
        "/length" => length(request)?,
        "/upload" => {
            request.limit_body(64 * 1024 * 1024);
            length(request)?
        }
        "/unread" => Response::text("unread"),
        "/early-hints" => early_hints(request)?,
        "/trailers" => return trailers(request),
        "/received-trailers" => received_trailers(request)?,
        "/peer" => Response::text(request.peer().map_or("?".into(), |it| it.to_string())),
        "/upgrade" => upgrade(request),
        "/panic" => panic!("a handler that panics"),
        "/page" => Response::html(PAGE),
        _ => Response::not_found(),
    })
}

static LARGE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// Says what was understood: method, target, length of the body, and the body.
fn describe(request: &mut Request<'_>) -> Result<Response, BodyError> {
    let body = request.read_body()?;
    let mut text =
        format!("{} {} {}\n", request.method(), request.target(), body.len()).into_bytes();
    text.extend_from_slice(body);
    Ok(Response::bytes(text))
}

/// Sends the body back while it comes in.
fn echo(request: &mut Request<'_>) -> io::Result<Response> {
    let mut response = Response::bytes("");
    if let Some(length) = request.content_length() {
        response = response.header(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    request.limit_body(u64::MAX);
    let (mut body, mut writer) = request.start_response(response)?;
    io::copy(&mut body, &mut writer)?;
    writer.finish()
}

fn length(request: &mut Request<'_>) -> io::Result<Response> {
    let mut buffer = vec![0; 64 * 1024];
    let mut body = request.body();
    let mut length = 0;
    loop {
        match body.read(&mut buffer)? {
            0 => return Ok(Response::text(length.to_string())),
            count => length += count as u64,
        }
    }
}

fn early_hints(request: &mut Request<'_>) -> io::Result<Response> {
    let style = HeaderValue::from_static("</style.css>; rel=preload; as=style");
    let hints = Response::new(StatusCode::EARLY_HINTS).header(header::LINK, style);
    request.send_informational(&hints)?;
    Ok(Response::text("after the hints"))
}

fn trailers(request: &mut Request<'_>) -> io::Result<Response> {
    let response =
        Response::bytes("").header(header::TRAILER, HeaderValue::from_static("x-checksum"));
    let (_, mut writer) = request.start_response(response)?;
    writer.write_all(b"checked")?;
    let checksum = (HeaderName::from_static("x-checksum"), HeaderValue::from(1));
    writer.finish_with_trailers(&HeaderMap::from_iter([checksum]))
}

/// Lists the trailers behind the request's body, a line each.
fn received_trailers(request: &mut Request<'_>) -> Result<Response, BodyError> {
    request.read_body()?;
    let mut text = Vec::new();
    for (name, value) in request.trailers().into_iter().flatten() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    Ok(Response::bytes(text))
}

/// Goes on as an echo, if the peer offers that.
fn upgrade(request: &mut Request<'_>) -> Response {
    if !request.upgrades().any(|protocol| protocol == "echo") {
        return Response::text("no upgrade");
    }
    Response::switch("echo", |stream| {
        // The peer's end is this one's.
        let _ = io::copy(&mut &stream, &mut &stream);
    })
}

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>waiting</title>
<p id="state">waiting</p>
<script>
async function check() {
    const sent = "kapok ".repeat(20000);
    const echoed = await (await fetch("/echo", { method: "POST", body: sent })).text();
    const streamed = await (await fetch("/stream/300000")).arrayBuffer();
    const sized = await (await fetch("/bytes/300000")).arrayBuffer();
    const several = await Promise.all(Array.from({ length: 20 }, () => fetch("/plaintext")));
    const texts = await Promise.all(several.map((answer) => answer.text()));
    const right = echoed === sent && streamed.byteLength === 300000 && sized.byteLength === 300000
        && texts.every((text) => text === "Hello, World!");
    return right ? "all good" : "something is wrong";
}
check().catch(String).then((state) => {
    document.title = state;
    document.getElementById("state").textContent = state;
});
</script>
"#;

/// So that a test of slow peers is a quick one.
fn impatient() -> Config {
    const SECOND: Duration = Duration::from_secs(1);
    Config::new()
        .idle_timeout(SECOND)
        .head_timeout(SECOND)
        .body_timeout(SECOND)
        .write_timeout(SECOND)
        .drain_timeout(SECOND)
        .byte_rate_min(64 * 1024)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, others): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument == "--impatient");
    let arguments = arguments::parse_from("127.0.0.1:0", others.into_iter())?;
    let mut server = Server::new();
    if !flags.is_empty() {
        server = server.config(impatient());
    }
    let hubs = match arguments.hubs {
        Some(1) => {
            let listener = TcpListener::bind(arguments.address)?;
            println!("serving on {}", listener.local_addr()?);
            return Ok(server.serve(listener, app)?);
        }
        Some(count) => Hubs::new(HubsConfig::new().count(count)),
        None => Hubs::default(),
    };
    let running = server.start(hubs, arguments.address, || app)?;
    println!("serving on {}", running.address());
    Ok(running.join()?)
}

//! The servers: `serve WORK SYSTEM ADDRESS` serves ADDRESS on one thread until it is killed.
//!
//! | work | what a server does |
//! |---|---|
//! | `echo` | sends back what it receives |
//! | `http` | answers `GET /plaintext` with `Hello, World!` |
//! | `responses` | answers `GET /large` with 64 KiB |
//! | `upload`, `upload_chunked` | reads the whole body of `POST /upload` and answers with its length in bytes |
//! | `churn` | answers as for `http`, and ends the connection that a client asks to be closed |
//!
//! Every HTTP answer has the headers Content-Length, Content-Type and Date. Every file is one system, written
//! as its own documentation would have it and then set to the fastest configuration its users could run in production; a
//! comment says why a setting is there.

mod axum_http;
mod floor;
mod floor_bodies;
mod hyper_bodies;
mod hyper_http;
mod may_bodies;
mod may_echo;
mod may_http;
mod monoio_echo;
mod smol_echo;
mod tokio_echo;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::{env, io};

type Serve = fn(SocketAddr) -> io::Result<()>;

const SERVERS: [(&str, &str, Serve); 22] = [
    ("echo", "floor", floor::serve_echo),
    ("echo", "may", may_echo::serve),
    ("echo", "monoio", monoio_echo::serve_on_epoll),
    ("echo", "monoio_uring", monoio_echo::serve_on_io_uring),
    ("echo", "smol", smol_echo::serve),
    ("echo", "tokio", tokio_echo::serve),
    ("http", "floor", floor::serve_http),
    ("http", "axum", axum_http::serve),
    ("http", "axum_hyper", axum_http::serve_on_hyper),
    ("http", "hyper", hyper_http::serve),
    ("http", "may_minihttp", may_http::serve),
    ("responses", "floor", floor_bodies::serve_large),
    ("responses", "hyper", hyper_bodies::serve),
    ("responses", "may_minihttp", may_bodies::serve),
    ("upload", "floor", floor_bodies::serve_upload),
    ("upload", "hyper", hyper_bodies::serve),
    ("upload", "may_minihttp", may_bodies::serve),
    (
        "upload_chunked",
        "floor",
        floor_bodies::serve_chunked_upload,
    ),
    ("upload_chunked", "hyper", hyper_bodies::serve),
    ("churn", "floor", floor_bodies::serve_and_close),
    ("churn", "hyper", hyper_http::serve),
    ("churn", "may_minihttp", may_bodies::serve),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [work, system, address] = arguments.as_slice() else {
        return usage();
    };
    let Ok(address) = address.parse() else {
        return usage();
    };
    let Some((_, _, serve)) = SERVERS
        .iter()
        .find(|(of_work, of_system, _)| of_work == work && of_system == system)
    else {
        return usage();
    };
    match serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve {work} {system} {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: serve WORK SYSTEM ADDRESS, where WORK SYSTEM is one of");
    for (work, system, _) in SERVERS {
        eprintln!("  {work} {system}");
    }
    ExitCode::FAILURE
}

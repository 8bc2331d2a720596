//! Timeouts: a whole exchange under one limit, tried again with a growing pause.
//!
//! Run it with `cargo run --release --example timeouts`. It ends by itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kapok::net::{TcpListener, TcpStream};
use kapok::sync::channel;

/// For one attempt: connecting, greeting, request and body.
const ATTEMPT_TIME: Duration = Duration::from_millis(200);
/// For all of them, with the pauses.
const WHOLE_TIME: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = kapok::spawn(move || serve(&listener));

    let start = Instant::now();
    let body = kapok::timeout(WHOLE_TIME, || fetch_with_retries(address))??;
    println!("got {body:?}");
    assert!(start.elapsed() < WHOLE_TIME);
    server.cancel();

    wait_for_a_message();
    Ok(())
}

/// Tries until it works or the caller's time is over, with pauses of 10, 20, 40 … ms.
fn fetch_with_retries(address: SocketAddr) -> io::Result<String> {
    let mut pause = Duration::from_millis(10);
    for attempt in 1..=5 {
        // `TimedOut` turns into an `io::Error`: the time and what went wrong in it are one to the caller.
        let result = kapok::timeout(ATTEMPT_TIME, || fetch(address));
        match result.map_err(io::Error::from).flatten() {
            Ok(body) => return Ok(body),
            Err(error) => println!("attempt {attempt}: {error}"),
        }
        kapok::sleep(pause);
        pause *= 2;
    }
    Err(io::Error::other("five attempts failed"))
}

/// Knows nothing of time. When the limit around it is over it unwinds from whatever it waits for, and closes the connection.
fn fetch(address: SocketAddr) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    let mut greeting = String::new();
    stream.read_line(&mut greeting)?;
    if greeting != "ready\n" {
        return Err(io::Error::other("the server is not ready"));
    }
    stream.get_mut().write_all(b"body please\n")?;
    let mut body = String::new();
    stream.read_to_string(&mut body)?;
    Ok(body)
}

/// Says nothing to the first, stops in the middle of the second's body, turns the third away, and serves all others.
fn serve(listener: &TcpListener) -> io::Result<()> {
    for number in 1.. {
        let (stream, _) = listener.accept()?;
        // An idle client gets an error, not an unwinding: this fiber goes on after it.
        stream.set_read_timeout(Some(WHOLE_TIME))?;
        drop(kapok::spawn(move || answer(number, &stream)));
    }
    Ok(())
}

fn answer(number: u32, mut stream: &TcpStream) -> io::Result<()> {
    match number {
        1 => {}
        3 => return stream.write_all(b"busy\n"),
        _ => stream.write_all(b"ready\n")?,
    }
    let mut request = String::new();
    BufReader::new(stream).read_line(&mut request)?;
    stream.write_all(b"some")?;
    if number == 2 {
        kapok::sleep(WHOLE_TIME);
    }
    stream.write_all(b" bytes")
}

/// A limit for one wait among others needs no unwinding.
fn wait_for_a_message() {
    let (_sender, receiver) = channel::bounded::<String>(1);
    kapok::select! {
        message = recv(&receiver) => println!("a message: {message:?}"),
        () = after(Duration::from_millis(20)) => println!("no message within 20 ms"),
    }
}

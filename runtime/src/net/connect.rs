//! Connecting to the first of several addresses that answers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::address::no_addresses;
use super::options::tcp_socket;
use super::stream::TcpStream;
use crate::fiber::slot::{NEVER, Wait};
use crate::hub::Hub;
use crate::hub::current;
use crate::hub::registration::wait_for_any;
use crate::hub::sources::Direction;

/// How long an attempt is alone before the next one begins (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Attempts at once: how many addresses a name has is for its owner to say.
const ATTEMPTS_MAX: usize = 16;

/// Connects to the first of the addresses that answers, up to `deadline`.
pub(super) fn connect(
    addresses: &[SocketAddr],
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    match *addresses {
        [] => Err(no_addresses()),
        [address] => connect_one(address, deadline),
        _ => race(interleaved(addresses), deadline),
    }
}

fn connect_one(address: SocketAddr, deadline: Option<Instant>) -> io::Result<TcpStream> {
    let stream = match Attempt::begin(address)? {
        Attempt::Connected(stream) => return Ok(stream),
        Attempt::Pending(stream) => stream,
    };
    let hub = current::hub();
    let end = end_of(hub, deadline);
    (stream.registered()).wait(hub, Direction::Write, Wait::Connect, end)?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Begins the attempts one after the other, each when the one before has failed or has had its time. All but the first that
/// connects are closed by being dropped, also when the fiber unwinds.
///
/// # Source
///
/// RFC 8305, Happy Eyeballs.
fn race(mut addresses: VecDeque<SocketAddr>, deadline: Option<Instant>) -> io::Result<TcpStream> {
    let hub = current::hub();
    let end = end_of(hub, deadline);
    let (mut attempts, mut next_attempt) = (Vec::new(), 0);
    let mut last_error = None;
    loop {
        let now = hub.clock.now();
        let has_room = attempts.len() < ATTEMPTS_MAX;
        if (attempts.is_empty() || now >= next_attempt)
            && has_room
            && let Some(address) = addresses.pop_front()
        {
            match Attempt::begin(address) {
                Ok(Attempt::Connected(stream)) => return Ok(stream),
                Ok(Attempt::Pending(stream)) => {
                    attempts.push(stream);
                    next_attempt = hub.clock.deadline_after(ATTEMPT_DELAY);
                }
                Err(error) => last_error = Some(error),
            }
            continue;
        }
        if attempts.is_empty() {
            return Err(last_error.unwrap_or_else(no_addresses));
        }
        if now >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let is_last = addresses.is_empty() || !has_room;
        let wake_at = if is_last { end } else { next_attempt.min(end) };
        let sources = attempts.iter().map(|stream| {
            let source = stream.registered().register(hub)?;
            Ok((source, Direction::Write))
        });
        let sources = sources.collect::<io::Result<Vec<_>>>()?;
        wait_for_any(hub, &sources, Wait::Connect, wake_at)?;
        let mut pending = Vec::new();
        for stream in attempts {
            let source = stream.registered().source(hub);
            if source.is_some_and(|source| !source.is_ready(Direction::Write)) {
                pending.push(stream);
                continue;
            }
            match stream.take_error() {
                Ok(None) => return Ok(stream),
                Ok(Some(error)) | Err(error) => last_error = Some(error),
            }
            next_attempt = 0;
        }
        attempts = pending;
    }
}

enum Attempt {
    Connected(TcpStream),
    Pending(TcpStream),
}

impl Attempt {
    fn begin(address: SocketAddr) -> io::Result<Self> {
        let socket = tcp_socket(address)?;
        match socket.connect(&address.into()) {
            Ok(()) => Ok(Self::Connected(TcpStream::of(socket.into()))),
            Err(error) if is_in_progress(&error) => Ok(Self::Pending(TcpStream::of(socket.into()))),
            Err(error) => Err(error),
        }
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS) || error.kind() == io::ErrorKind::WouldBlock
}

fn end_of(hub: &Hub, deadline: Option<Instant>) -> u64 {
    deadline.map_or(NEVER, |deadline| hub.clock.nanoseconds(deadline))
}

/// The families in turn, that of the first address first (RFC 8305, section 4): a network where one of them is broken costs one
/// delay and not one for each address.
fn interleaved(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = VecDeque::with_capacity(addresses.len());
    while mixed.len() < addresses.len() {
        mixed.extend(first.next());
        mixed.extend(second.next());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_keep_their_order() {
        let check = |given: &[&str], expected: &[&str]| {
            let parse = |all: &[&str]| -> Vec<SocketAddr> {
                all.iter().map(|text| text.parse().unwrap()).collect()
            };
            assert_eq!(interleaved(&parse(given)), parse(expected));
        };
        check(&["1.1.1.1:1", "2.2.2.2:2"], &["1.1.1.1:1", "2.2.2.2:2"]);
        check(
            &["[1::]:1", "[2::]:2", "[3::]:3", "1.1.1.1:1", "2.2.2.2:2"],
            &["[1::]:1", "1.1.1.1:1", "[2::]:2", "2.2.2.2:2", "[3::]:3"],
        );
        check(
            &["1.1.1.1:1", "[1::]:1", "[2::]:2"],
            &["1.1.1.1:1", "[1::]:1", "[2::]:2"],
        );
    }
}

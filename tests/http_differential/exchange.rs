//! Sends a request as raw bytes on a connection of its own and takes down what comes back.

use std::fmt;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::requests::{Delivery, Request};

/// What a server did with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status codes in their order, those of informational answers too.
    pub statuses: Vec<u16>,
    /// The body of each 2xx, with its transfer coding undone.
    pub bodies: Vec<Vec<u8>>,
    /// The connection took a further request after all these answers.
    pub kept: bool,
}

impl Outcome {
    /// The same with status classes in place of status codes.
    pub fn verdict(&self) -> (Vec<u16>, bool) {
        let classes = self.statuses.iter().map(|status| status / 100);
        (classes.collect(), self.kept)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hundred equal answers are told in short.
        for equal in self.statuses.chunk_by(PartialEq::eq) {
            match equal {
                [_] | [_, _] => equal
                    .iter()
                    .try_for_each(|one| write!(formatter, "{one} "))?,
                _ => write!(formatter, "{}x{} ", equal.len(), equal[0])?,
            }
        }
        formatter.write_str(if self.kept { "kept" } else { "closed" })
    }
}

/// Sends the request and reads to the end of the connection.
///
/// Whether the connection lives on is found out by one more request, the probe, as soon as there is a final answer: either it is
/// answered or the connection ends. The other direction is shut down behind the probe, and at once behind a request that is cut
/// short, so that a server that waits for more ends the connection too and nothing here waits for a time to pass.
pub fn exchange(address: SocketAddr, request: &Request) -> Result<Outcome> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let mut held_back = None;
    match request.delivery {
        Delivery::Whole | Delivery::CutShort => send(&stream, &request.bytes),
        Delivery::ByteByByte => request.bytes.chunks(1).for_each(|byte| send(&stream, byte)),
        Delivery::OnContinue => {
            let (head, rest) = request.bytes.split_at(head_length(&request.bytes));
            send(&stream, head);
            held_back = Some(rest);
        }
    }
    let mut is_probed = request.delivery == Delivery::CutShort;
    if is_probed {
        let _ = stream.shutdown(Shutdown::Write);
    }

    let mut outcome = Outcome {
        statuses: Vec::new(),
        bodies: Vec::new(),
        kept: false,
    };
    let mut reader = BufReader::new(&stream);
    let mut finals = 0;
    while let Some(answer) = read_answer(&mut reader, request.heads.contains(&finals))? {
        let is_to_probe =
            request.delivery != Delivery::CutShort && answer.body.starts_with(PROBE_ANSWER);
        if is_to_probe {
            outcome.kept = true;
            continue;
        }
        outcome.statuses.push(answer.status);
        match answer.status {
            100 => held_back
                .take()
                .into_iter()
                .for_each(|rest| send(&stream, rest)),
            101..200 => {}
            status => {
                finals += 1;
                if status < 300 {
                    outcome.bodies.push(answer.body);
                }
                if !is_probed {
                    send(&stream, PROBE);
                    let _ = stream.shutdown(Shutdown::Write);
                    is_probed = true;
                }
            }
        }
    }
    Ok(outcome)
}

/// Sends as much as the server takes: one that refuses need not read the rest, and its answer is what counts.
fn send(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Returns the length of the head that `bytes` begins with.
fn head_length(bytes: &[u8]) -> usize {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(bytes.len(), |end| end + 4)
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// Reads an answer; `None` is the end of the connection.
fn read_answer(reader: &mut impl BufRead, is_to_head: bool) -> Result<Option<Answer>> {
    let Some(status_line) = read_line(reader)? else {
        return Ok(None);
    };
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| status_line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| odd(format!("no status line: {status_line:?}")))?;

    let (mut length, mut is_chunked) = (None, false);
    loop {
        let line = read_line(reader)?.ok_or_else(|| odd("the head of an answer is cut short"))?;
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                break;
            }
            return Err(odd(format!("no header field: {line:?}")));
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<u64>().ok(),
            "transfer-encoding" => is_chunked = value.trim() == "chunked",
            _ => {}
        }
    }

    let mut body = Vec::new();
    let has_none = is_to_head || status / 100 == 1 || status == 204 || status == 304;
    match length {
        // Who is refused before the method is read may get a body nevertheless; the connection ends behind it.
        _ if has_none && status < 400 => {}
        _ if has_none => drop(read_to_end(reader, &mut body)?),
        _ if is_chunked => read_chunks(reader, &mut body)?,
        Some(length) => {
            body.resize(length as usize, 0);
            reader.read_exact(&mut body)?;
        }
        None => drop(read_to_end(reader, &mut body)?),
    }
    Ok(Some(Answer { status, body }))
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let line = read_line(reader)?.ok_or_else(|| odd("a chunk is cut short"))?;
        let size = u64::from_str_radix(&line, 16).map_err(|_| odd("a bad chunk size"))?;
        reader.take(size).read_to_end(body)?;
        if read_line(reader)?.as_deref() != Some("") {
            return Err(odd("a chunk does not end where it should"));
        }
        if size == 0 {
            return Ok(());
        }
    }
}

/// Reads up to CRLF and leaves that out; `None` is the end of the connection.
fn read_line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        // Who closes while there is input it has not read resets the connection.
        Err(error) if error.kind() == ErrorKind::ConnectionReset && line.is_empty() => {}
        other => drop(other?),
    }
    if line.is_empty() {
        return Ok(None);
    }
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| {
        odd(format!(
            "no CRLF behind {:?}",
            line.escape_ascii().to_string()
        ))
    })?;
    Ok(Some(text.escape_ascii().to_string()))
}

fn read_to_end(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<usize> {
    match reader.read_to_end(body) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(body.len()),
        other => other,
    }
}

fn odd(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

const PROBE: &[u8] =
    b"GET /describe?probe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const PROBE_ANSWER: &[u8] = b"GET /describe?probe 0\n";

/// A server that is silent for so long neither answers nor ends the connection.
const SILENCE_MAX: Duration = Duration::from_secs(10);

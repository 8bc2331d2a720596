//! Reads answers as strictly as a client can.

use std::fmt::Write;

use crate::serve::Call;

/// Returns the status codes in order, with what follows a 101 in quotes, and whether the last one ends the connection.
///
/// The answers of the handler come first, one a call; behind them may be one of the server's own.
pub fn read_answers(mut bytes: &[u8], calls: &[Call]) -> Result<(String, bool), String> {
    let (mut statuses, mut is_last, mut answered) = (String::new(), false, 0);
    while !bytes.is_empty() {
        if is_last {
            return Err(format!(
                "bytes behind the last answer: {}",
                bytes.escape_ascii()
            ));
        }
        let (head, rest) = Head::read(bytes)?;
        let _ = write!(statuses, "{} ", head.status);
        bytes = rest;
        if head.status == 101 {
            let _ = write!(statuses, "{:?} ", String::from_utf8_lossy(bytes));
            return Ok((statuses, true));
        }
        if head.status < 200 {
            continue;
        }
        is_last = head.value("Connection") == Some("close");
        let call = calls.get(answered);
        answered += 1;
        let length = head.content_length()?;
        let is_of_head = match call {
            Some(call) => call.method == "HEAD",
            // Whether the server took what it refused for a HEAD request is its own business.
            None => bytes.is_empty(),
        };
        let length = if is_of_head { 0 } else { length };
        if bytes.len() < length {
            return Err(format!("a body is too short: {}", bytes.escape_ascii()));
        }
        let (body, rest) = bytes.split_at(length);
        bytes = rest;
        match call {
            Some(Call {
                answer: Some(answer),
                ..
            }) => {
                if head.status != 200 || (!is_of_head && body != &answer[..]) {
                    return Err(format!(
                        "not the handler's answer: {} {}",
                        head.status,
                        body.escape_ascii()
                    ));
                }
            }
            _ if head.status < 400 => return Err(format!("{} for what is refused", head.status)),
            Some(_) => {}
            None if is_last => {}
            None => return Err("an answer that nobody gave".to_owned()),
        }
    }
    if answered < calls.len() {
        return Err(format!("{} calls, {answered} answers", calls.len()));
    }
    Ok((statuses, is_last))
}

struct Head<'a> {
    status: u16,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), String> {
        let wrong = |what: &str| format!("{what}: {}", bytes.escape_ascii());
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.ok_or_else(|| wrong("a head that does not end"))?;
        let text = str::from_utf8(&bytes[..end]).map_err(|_| wrong("a head that is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|line| line.split_once(' '))
            .and_then(|(status, _)| status.parse().ok())
            .ok_or_else(|| wrong("no status line"))?;
        let fields = lines
            .map(|line| {
                line.split_once(": ")
                    .filter(|(name, value)| is_field(name, value))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| wrong("a malformed field"))?;
        let head = Self { status, fields };
        head.check().map_err(wrong)?;
        Ok((head, &bytes[end + 4..]))
    }

    /// RFC 9110 sections 6.6.1 and 8.6, RFC 9112 section 6.1.
    fn check(&self) -> Result<(), &'static str> {
        let count = |name: &str| {
            self.fields
                .iter()
                .filter(|(each, _)| each.eq_ignore_ascii_case(name))
                .count()
        };
        if count("Transfer-Encoding") > 0 {
            return Err("a coding where the length is known");
        }
        match self.status {
            100..200 if count("Content-Length") > 0 => Err("a length where no body may be"),
            100..200 => Ok(()),
            _ if count("Content-Length") != 1 => Err("not one length"),
            _ if count("Date") != 1 => Err("not one date"),
            _ => Ok(()),
        }
    }

    fn content_length(&self) -> Result<usize, String> {
        let length = self.value("Content-Length").unwrap_or_default();
        length
            .parse()
            .map_err(|_| format!("a length of {length:?}"))
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        let matches = |field: &&(&str, &str)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().find(matches).map(|field| field.1)
    }
}

fn is_field(name: &str, value: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_value = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    !name.is_empty() && name.bytes().all(is_name) && value.bytes().all(is_value)
}

/// Puts the same date everywhere: an answer may come a second later.
pub fn without_dates(bytes: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"\r\nDate: ";
    const VALUE_BYTES: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..]
        .windows(NAME.len())
        .position(|window| window == NAME)
    {
        at += found + NAME.len();
        let end = (at + VALUE_BYTES).min(bytes.len());
        bytes[at..end].fill(b'-');
    }
    bytes
}

/// The reader is what the table trusts, so it must not let things pass.
#[test]
fn wrong_answers_are_noticed() {
    let call = |answer: Option<&[u8]>| Call::new("GET", answer);
    let head = "HTTP/1.1 200 OK\r\nDate: -\r\nContent-Length: 2\r\n";
    let read = |text: &str, calls: &[Call]| read_answers(text.as_bytes(), calls);
    let hello = [call(Some(b"hi"))];
    assert_eq!(
        read(&format!("{head}\r\nhi"), &hello),
        Ok(("200 ".to_owned(), false))
    );
    let last = format!("{head}Connection: close\r\n\r\nhi");
    assert_eq!(read(&last, &hello), Ok(("200 ".to_owned(), true)));
    let refusal =
        "HTTP/1.1 400 Bad Request\r\nDate: -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(read(refusal, &[]), Ok(("400 ".to_owned(), true)));
    for (text, calls) in [
        (format!("{head}\r\nho"), &hello[..]),
        (format!("{head}\r\nh"), &hello),
        (format!("{head}\r\nhi"), &[]),
        (format!("{last}{head}\r\nhi"), &hello),
        (format!("{last}x"), &hello),
        (format!("{head}Content-Length: 2\r\n\r\nhi"), &hello),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\nhi"),
            &hello,
        ),
        (format!("{head}X: y\nZ: z\r\n\r\nhi"), &hello),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            &hello,
        ),
        ("HTTP/1.1 200 OK\r\nDate: -\r\n\r\n".to_owned(), &hello),
        (
            "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n".to_owned(),
            &[],
        ),
        (refusal.replace("Connection: close\r\n", ""), &[]),
        (String::new(), &hello),
    ] {
        assert!(read(&text, calls).is_err(), "{text}");
    }
}

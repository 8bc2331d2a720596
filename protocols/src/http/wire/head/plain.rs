//! Plain heads, as nearly all are: read in one pass.
//!
//! This costs about a third of what the scan for line ends, httparse and the checks behind it cost together. It takes no head
//! that they would not take, and fills in the same: a test compares the two. Whatever is faulty, incomplete or merely unusual
//! is left to them, so that each fault has one place where it is found and named.
//!
//! Plain is what follows one of six methods with a target in origin-form without `!` in its path, and has no other bytes in its
//! header names than letters, digits, `-` and `.`, no empty value, at most one blank in front of a value and none behind it,
//! no tab in it, and a host that is a name or an IPv4 address.

use ::http::{Method, Version};

use super::{FieldSpan, RequestHead, Span};
use crate::http::config::Config;
use crate::http::wire::framing::Framing;
use crate::http::wire::words::{
    controls, find_marked, first, not_digits, not_in_names, not_in_paths, not_in_queries, word_at,
};

impl RequestHead {
    /// Fills this head if `input` begins with a whole and plain one, and returns the length of that.
    ///
    /// After `None` this head is a mix of two and must be filled anew.
    #[inline]
    pub(super) fn read_plain(&mut self, input: &[u8], config: &Config) -> Option<usize> {
        let input = &input[..input.len().min(config.head_bytes_max)];
        let mut at = self.read_plain_request_line(input, config)?;
        self.host = None;
        self.fields.clear();
        // Most heads have no field that concerns it, and what it concludes from none is known when this is compiled.
        let mut framing: Option<Framing> = None;
        loop {
            if input.get(at..at + 2) == Some(b"\r\n") {
                break;
            }
            let word = word_at(input, at);
            let (name_end, is_host) = match (word | HOST_CASE) << 24 == HOST {
                true => (at + 4, true),
                false => (find_marked(input, at, not_in_names), false),
            };
            let value_start = match input.get(name_end..)? {
                [b':', b' ', ..] => name_end + 2,
                [b':', ..] => name_end + 1,
                _ => return None,
            };
            if name_end == at || self.fields.len() == config.header_count_max {
                return None;
            }
            let value_end = match is_host {
                true => find_host_end(input, value_start)?,
                false => find_value_end(input, value_start)?,
            };
            if input.get(value_end..value_end + 2)? != b"\r\n" {
                return None;
            }
            let value = Span::between(value_start, value_end);
            self.fields.push(FieldSpan {
                name: Span::between(at, name_end),
                value,
            });
            if is_host {
                if self.host.replace(value).is_some() {
                    return None;
                }
            } else if Framing::is_concerned(name_end - at) {
                framing
                    .get_or_insert_default()
                    .note(&input[at..name_end], &input[value_start..value_end], true)
                    .ok()?;
            }
            at = value_end + 2;
        }
        if self.host.is_none() && self.version == Version::HTTP_11 {
            return None;
        }
        self.facts = match framing {
            Some(framing) => framing.conclude(self.version).ok()?,
            None => Framing::default().conclude(self.version).ok()?,
        };
        Some(at + 2)
    }

    /// Fills in what the request line says and returns where the next line begins.
    #[inline]
    fn read_plain_request_line(&mut self, input: &[u8], config: &Config) -> Option<usize> {
        let start = self.read_plain_method(input)?;
        let path_end = find_marked(input, start + 1, not_in_paths);
        let end = match input.get(path_end)? {
            b'?' => find_marked(input, path_end, not_in_queries),
            _ => path_end,
        };
        let next_line = end + END_OF_LINE.len();
        let end_of_line = input.get(end..next_line)?;
        if end_of_line == END_OF_LINE {
            self.version = Version::HTTP_11;
        } else if end_of_line == END_OF_OLD_LINE {
            self.version = Version::HTTP_10;
        } else {
            return None;
        }
        if end - start > config.target_bytes_max {
            return None;
        }
        self.target = Span::between(start, end);
        self.target_parts.path_start = 0;
        self.target_parts.path_end = (path_end - start) as u16;
        self.target_parts.authority_start = 0;
        Some(next_line)
    }

    /// Fills in the method and returns where the target begins, which is a slash.
    #[inline]
    fn read_plain_method(&mut self, input: &[u8]) -> Option<usize> {
        if word_at(input, 0) << 24 == GET {
            if self.method != Method::GET {
                self.method = Method::GET;
            }
            return Some(4);
        }
        for (start, method) in OTHER_METHODS {
            if input.starts_with(start) {
                self.method = method;
                return Some(start.len() - 1);
            }
        }
        None
    }
}

/// Returns where the value that begins at `start` ends. An empty one and one with blanks around it are not plain.
#[inline]
fn find_value_end(input: &[u8], start: usize) -> Option<usize> {
    let end = find_marked(input, start, controls);
    match input.get(start..end)? {
        [] | [b' ', ..] | [.., b' '] => None,
        _ => Some(end),
    }
}

/// Returns where the host that begins at `start` ends: a name or IPv4 address, with or without a port.
#[inline]
fn find_host_end(input: &[u8], start: usize) -> Option<usize> {
    let name_end = find_marked(input, start, not_in_names);
    if name_end == start {
        return None;
    }
    if *input.get(name_end)? != b':' {
        return Some(name_end);
    }
    let port = word_at(input, name_end + 1);
    let digits = first(not_digits(port));
    // Numbers of equal length are ordered like their digits.
    let is_port = digits < 5 || (digits == 5 && port.swap_bytes() >> 24 <= LAST_PORT);
    is_port.then_some(name_end + 1 + digits)
}

/// Words that text is compared with: the letter case that does not matter is set, what does not belong is shifted out.
const GET: u64 = u64::from_le_bytes(*b"\0\0\0GET /");
const HOST: u64 = u64::from_le_bytes(*b"\0\0\0host:");
const HOST_CASE: u64 = 0x2020_2020;

const END_OF_LINE: &[u8; 11] = b" HTTP/1.1\r\n";
const END_OF_OLD_LINE: &[u8; 11] = b" HTTP/1.0\r\n";

const OTHER_METHODS: [(&[u8], Method); 5] = [
    (b"POST /", Method::POST),
    (b"PUT /", Method::PUT),
    (b"HEAD /", Method::HEAD),
    (b"DELETE /", Method::DELETE),
    (b"PATCH /", Method::PATCH),
];

const LAST_PORT: u64 = u64::from_be_bytes(*b"\0\0\x0065535");

//! Request heads: parsed, checked, and kept raw.

use std::mem::MaybeUninit;
use std::ops::Range;

use ::http::{HeaderName, HeaderValue, Method, StatusCode, Version, header};
use ascii::AsciiStr;

use super::framing::{BodyLength, Facts, Framing, Persistence};
use super::scan::{HeadScan, METHOD_BYTES_MAX, TARGET_TOO_LONG};
use super::target::{TargetParts, check_target, is_host};
use crate::http::config::{Config, HEADER_COUNT_CEILING};
use crate::http::error::Refusal;

/// What became of the input so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The head is complete and takes this many bytes of the input.
    Complete(usize),
    /// The input ends inside the head.
    NeedMore,
    /// No head begins like this. The connection must not be parsed any further.
    Refused(Refusal),
}

/// Parses one head after the other from input that arrives in pieces.
///
/// The outcome is the same wherever the input is cut: of several faults the one whose last byte comes first decides, and a
/// head without a fault is looked at as a whole. A whole and plain head, as nearly all are, is read in one pass by
/// [`RequestHead::read_plain`]. For any other [`HeadScan`] finds line ends as they come; the request line is checked once
/// it is complete, even if the head is not, so that a peer that speaks another protocol or HTTP/0.9 is told at once; header
/// fields are checked when the head is complete. Each of these happens once a head, so a head that drips in costs no more
/// than twice what it costs in one piece.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    scan: HeadScan,
    /// The request line of this head was found right.
    request_line_checked: bool,
}

impl HeadParser {
    /// Parses the head that `input` begins with into `head`.
    ///
    /// After [`Parsed::NeedMore`] the next `input` must begin with all the bytes of this one. After [`Parsed::Complete`] the
    /// parser is ready for the next head, and `head` describes the bytes parsed until the next call.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        config: &Config,
        head: &mut RequestHead,
    ) -> Parsed {
        if self.scan.is_fresh()
            && let Some(end) = head.read_plain(input, config)
        {
            return Parsed::Complete(end);
        }
        self.parse_any(input, config, head)
    }

    /// Parses a head that is not plain or not whole.
    #[inline(never)]
    pub(crate) fn parse_any(
        &mut self,
        input: &[u8],
        config: &Config,
        head: &mut RequestHead,
    ) -> Parsed {
        let outcome = match self.scan.advance(input, config) {
            Ok(Some(end)) => {
                let fields = self.scan.fields();
                head.read(&input[..end], fields, config)
                    .map(|()| Parsed::Complete(end))
            }
            other => other.map(|_| Parsed::NeedMore),
        };
        if let Ok(Parsed::Complete(end)) = outcome {
            *self = Self::default();
            return Parsed::Complete(end);
        }
        // Of any fault and one in the request line, the latter comes first.
        self.check_beginning(input, config)
            .and(outcome)
            .unwrap_or_else(Parsed::Refused)
    }

    /// Checks as much as there is of the request line.
    #[cold]
    fn check_beginning(&mut self, input: &[u8], config: &Config) -> Result<(), Refusal> {
        if self.request_line_checked {
            return Ok(());
        }
        let Some(length) = self.scan.request_line() else {
            return check_method_start(input);
        };
        let line = &input[..length];
        let mut request = httparse::Request::new(&mut []);
        request
            .parse_with_uninit_headers(line, &mut [])
            .map_err(|error| explain(error, line))?;
        // Of no further use: the head is filled when it is complete.
        RequestHead::new().read_request_line(&request, line, config)?;
        self.request_line_checked = true;
        Ok(())
    }
}

/// One request head: what the server needs of it, and where the rest stands in the bytes it was parsed from.
///
/// It owns no bytes, so that a head costs no allocation: one value is used for all requests of a connection, and whoever asks
/// for a part hands in the bytes of the head, that is, what [`HeadParser::parse`] got, cut anywhere behind the head.
#[derive(Debug)]
pub(crate) struct RequestHead {
    method: Method,
    version: Version,
    target: Span,
    target_parts: TargetParts,
    host: Option<Span>,
    fields: Vec<FieldSpan>,
    facts: Facts,
}

impl RequestHead {
    /// Makes the head of an empty request; parsing fills it.
    pub(crate) fn new() -> Self {
        Self {
            method: Method::GET,
            version: Version::HTTP_11,
            target: Span::default(),
            target_parts: TargetParts::default(),
            host: None,
            fields: Vec::new(),
            facts: Facts::NONE,
        }
    }

    /// Returns the method.
    #[inline]
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the version, 1.0 or 1.1.
    #[inline]
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Returns how the end of the body that follows is told.
    #[inline]
    pub(crate) fn body(&self) -> BodyLength {
        self.facts.body
    }

    /// Returns whether the peer lets the connection live on.
    #[inline]
    pub(crate) fn persistence(&self) -> Persistence {
        self.facts.persistence
    }

    /// Returns whether the peer waits for 100 before it sends the body.
    #[inline]
    pub(crate) fn awaits_continue(&self) -> bool {
        self.facts.awaits_continue
    }

    /// Returns whether the connection may go on in another protocol after this request, which is `GET` without a body then.
    pub(crate) fn offers_upgrade(&self) -> bool {
        self.facts.offers_upgrade
            && self.facts.body == BodyLength::Known(0)
            && self.method == Method::GET
    }

    /// Returns whether the request offers to go on with the protocol that `headers` name.
    pub(crate) fn offers(&self, bytes: &[u8], headers: &[(HeaderName, HeaderValue)]) -> bool {
        let protocol = headers.iter().find(|(name, _)| name == header::UPGRADE);
        let offered = (0..self.field_count())
            .filter_map(|index| self.field(bytes, index))
            .filter(|(name, _)| name.eq_ignore_ascii_case("upgrade"))
            .flat_map(|(_, value)| value.split(|byte| *byte == b','));
        self.offers_upgrade()
            && protocol.is_some_and(|(_, protocol)| {
                let is_it =
                    |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(protocol.as_bytes());
                offered.into_iter().any(is_it)
            })
    }

    /// Returns the target as it was sent.
    #[inline]
    pub(crate) fn target<'a>(&self, bytes: &'a [u8]) -> &'a str {
        ascii(&bytes[self.target.range()])
    }

    /// Returns the path of the target: empty in authority-form, and in absolute-form `/` where it was left out.
    #[inline]
    pub(crate) fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        let TargetParts {
            path_start,
            path_end,
            authority_start,
        } = self.target_parts;
        if path_start == path_end && authority_start > 0 {
            return "/";
        }
        let target = &bytes[self.target.range()];
        ascii(&target[usize::from(path_start)..usize::from(path_end)])
    }

    /// Returns what follows the `?` of the target.
    #[inline]
    pub(crate) fn query<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let target = &bytes[self.target.range()];
        target
            .get(usize::from(self.target_parts.path_end) + 1..)
            .map(ascii)
    }

    /// Returns the host the request is for: the authority of the target if it has one, else the `Host` field.
    pub(crate) fn host<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let TargetParts {
            path_start,
            authority_start,
            ..
        } = self.target_parts;
        if path_start > 0 {
            let target = &bytes[self.target.range()];
            return Some(ascii(
                &target[usize::from(authority_start)..usize::from(path_start)],
            ));
        }
        self.host.map(|host| ascii(&bytes[host.range()]))
    }

    /// Returns the number of header fields.
    #[inline]
    pub(crate) fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// Returns name and value of the header field at `index`, in the order they were sent.
    #[inline]
    pub(crate) fn field<'a>(&self, bytes: &'a [u8], index: usize) -> Option<(&'a str, &'a [u8])> {
        let field = self.fields.get(index)?;
        Some((
            ascii(&bytes[field.name.range()]),
            &bytes[field.value.range()],
        ))
    }

    /// Returns the value of the first header field with this name, in any case.
    pub(crate) fn value<'a>(&self, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let matches =
            |field: &&FieldSpan| bytes[field.name.range()].eq_ignore_ascii_case(name.as_bytes());
        self.fields
            .iter()
            .find(matches)
            .map(|field| &bytes[field.value.range()])
    }

    /// Fills this head from any `input`, which ends with the empty line.
    #[inline]
    fn read(&mut self, input: &[u8], field_count: usize, config: &Config) -> Result<(), Refusal> {
        if field_count <= FEW_FIELDS {
            let mut slots = [const { MaybeUninit::uninit() }; FEW_FIELDS];
            return self.read_with(input, &mut slots, config);
        }
        self.read_many(input, config)
    }

    /// Apart, so that a fiber that never sees such a head has no need of the stack.
    #[cold]
    #[inline(never)]
    fn read_many(&mut self, input: &[u8], config: &Config) -> Result<(), Refusal> {
        let mut slots = [const { MaybeUninit::uninit() }; HEADER_COUNT_CEILING];
        self.read_with(input, &mut slots, config)
    }

    #[inline]
    fn read_with<'input>(
        &mut self,
        input: &'input [u8],
        slots: &mut [MaybeUninit<httparse::Header<'input>>],
        config: &Config,
    ) -> Result<(), Refusal> {
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(input, slots) {
            Ok(httparse::Status::Complete(length)) if length == input.len() => {}
            // Two parsers that disagree on where a head ends are what request smuggling is made of.
            Ok(_) => return Err(Refusal::bad_request("the head ends in an odd way")),
            Err(error) => return Err(explain(error, input)),
        }
        self.read_request_line(&request, input, config)?;
        self.host = None;
        self.fields.clear();

        let mut framing = Framing::default();
        for field in request.headers.iter() {
            let (name, value) = (
                Span::of(input, field.name.as_bytes()),
                Span::of(input, field.value),
            );
            self.fields.push(FieldSpan { name, value });
            match field.name.len() {
                4 if field.name.eq_ignore_ascii_case("host") => {
                    if self.host.replace(value).is_some() {
                        return Err(Refusal::bad_request("there are two Host fields"));
                    }
                    if !is_host(field.value) {
                        return Err(Refusal::bad_request("the Host field is not a host"));
                    }
                }
                length if Framing::is_concerned(length) => {
                    let is_tight = is_tight(input, name, value);
                    framing.note(field.name.as_bytes(), field.value, is_tight)?;
                }
                _ => {}
            }
        }
        if self.host.is_none() && self.version == Version::HTTP_11 {
            return Err(Refusal::bad_request("there is no Host field"));
        }
        self.facts = framing.conclude(self.version)?;
        self.check_authority(input)
    }

    /// Checks that a target with an authority and the `Host` field agree: RFC 9112 section 3.2.2 lets the target win, but who
    /// looks at the field alone would take the request for another's.
    #[inline]
    fn check_authority(&self, input: &[u8]) -> Result<(), Refusal> {
        if self.target_parts.authority_start == 0 {
            return Ok(());
        }
        let field = self.host.map(|host| &input[host.range()]);
        match (field, self.host(input)) {
            (Some(field), Some(authority)) if !field.eq_ignore_ascii_case(authority.as_bytes()) => {
                let reason = "the request target and the Host field differ";
                Err(Refusal::bad_request(reason))
            }
            _ => Ok(()),
        }
    }

    /// Checks the request line and fills in what it says.
    ///
    /// Each part is written where it stays. To return structs of narrow fields costs 5 ns each, since the processor stalls when
    /// it copies with wide reads what it has just written with narrow ones.
    #[inline]
    fn read_request_line<'input>(
        &mut self,
        request: &httparse::Request<'_, 'input>,
        input: &'input [u8],
        config: &Config,
    ) -> Result<(), Refusal> {
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(MALFORMED_REQUEST_LINE);
        };
        if method.len() > METHOD_BYTES_MAX {
            return Err(METHOD_TOO_LONG);
        }
        if target.len() > config.target_bytes_max {
            return Err(TARGET_TOO_LONG);
        }
        check_target(method, target.as_bytes(), &mut self.target_parts)?;
        self.target = Span::of(input, target.as_bytes());
        // Most connections stay with one method, and comparing is cheaper than making.
        if self.method.as_str() != method {
            let method =
                Method::from_bytes(method.as_bytes()).map_err(|_| MALFORMED_REQUEST_LINE)?;
            self.method = check_method(method, config)?;
        }
        self.version = if minor == 0 {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        };
        Ok(())
    }
}

/// A part of the head, as offsets: at most `HEAD_BYTES_CEILING`, which fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// Finds where `part`, a slice of `whole`, stands in it.
    #[inline]
    fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Self {
            start: start as u16,
            end: (start + part.len()) as u16,
        }
    }

    /// Both are within a head, so they fit.
    #[inline]
    fn between(start: usize, end: usize) -> Self {
        Self {
            start: start as u16,
            end: end as u16,
        }
    }

    #[inline]
    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

#[derive(Debug, Clone, Copy)]
struct FieldSpan {
    name: Span,
    value: Span,
}

/// Checks what can be said of the method before the first line is complete. What follows that line has no say in it.
fn check_method_start(lines: &[u8]) -> Result<(), Refusal> {
    let start = &lines[..lines.len().min(METHOD_BYTES_MAX + 1)];
    let line = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    match line {
        [] => Ok(()),
        [first, ..] if !first.is_ascii_graphic() => Err(MALFORMED_REQUEST_LINE),
        _ if line.len() > METHOD_BYTES_MAX && !line.contains(&b' ') => Err(METHOD_TOO_LONG),
        _ => Ok(()),
    }
}

/// Checks that the method is one that is served.
#[cold]
fn check_method(method: Method, config: &Config) -> Result<Method, Refusal> {
    let reason = match method {
        Method::CONNECT if !config.connect => "CONNECT is not implemented",
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS
        | Method::PATCH
        | Method::TRACE
        | Method::CONNECT => return Ok(method),
        _ if config.extension_methods => return Ok(method),
        _ => "the method is not known",
    };
    Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, reason))
}

/// Returns whether at most one space stands before a value and nothing between it and the end of its line.
fn is_tight(input: &[u8], name: Span, value: Span) -> bool {
    let before = &input[usize::from(name.end)..usize::from(value.start)];
    matches!(before, b":" | b": ") && input[usize::from(value.end)..].starts_with(b"\r\n")
}

/// Turns what the parser found into an answer. `lines` begins with the request line.
#[cold]
fn explain(error: httparse::Error, lines: &[u8]) -> Refusal {
    if let Err(refusal) = check_method_start(lines) {
        return refusal;
    }
    match error {
        httparse::Error::HeaderName => Refusal::bad_request("a header name is malformed"),
        httparse::Error::HeaderValue => Refusal::bad_request("a header value is malformed"),
        httparse::Error::Version => explain_version(lines),
        _ => MALFORMED_REQUEST_LINE,
    }
}

/// Tells a version that is not spoken here from what is no version at all.
///
/// HTTP/1.2 and later minor versions could be taken as 1.1 (RFC 9110 section 2.5), but none was ever published: whoever
/// sends one tests for differences between parsers. So it is refused with the same 505 as HTTP/2.0 and HTTP/3.0.
fn explain_version(lines: &[u8]) -> Refusal {
    let end = lines
        .iter()
        .position(|byte| *byte == b'\r')
        .unwrap_or(lines.len());
    let mut words = lines[..end].split(|byte| *byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "only HTTP/1.0 and HTTP/1.1 are spoken here",
            )
        }
        _ => MALFORMED_REQUEST_LINE,
    }
}

#[inline]
fn ascii(bytes: &[u8]) -> &str {
    // Much cheaper for some ten bytes than to look for UTF-8.
    AsciiStr::from_ascii(bytes)
        .expect("invariant: targets, hosts and header names are checked to be ASCII")
        .as_str()
}

/// Heads with no more fields than this are parsed with 768 bytes of stack. Browsers send 10 to 20.
const FEW_FIELDS: usize = 24;

const MALFORMED_REQUEST_LINE: Refusal = Refusal::bad_request("the request line is malformed");
const METHOD_TOO_LONG: Refusal =
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "the method is too long");

mod plain;
#[cfg(test)]
mod tests;

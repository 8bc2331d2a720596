//! Ways for fuzzers to what is private: each takes arbitrary bytes and panics if a promise of the codec does not hold for them.
//!
//! The kept inputs of the fuzzers are replayed by the tests at the end.

use super::config::Config;
use super::error::Refusal;
use super::wire::{ChunkedDecoder, Decoded, HeadParser, Parsed, RequestHead};
use super::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Parses a request head: the outcome is the same however the bytes are cut and whichever way they are parsed, and a head that is
/// taken is well-formed.
///
/// The first byte chooses the limits, the second where the bytes are cut.
///
/// # Panics
///
/// If it is not so.
pub fn check_head(input: &[u8]) {
    let [choice, cut, bytes @ ..] = input else {
        return;
    };
    let config = head_limits(*choice);
    let expected = parse_in_steps(bytes, &config, [bytes.len()], HeadParser::parse);
    let steps = usize::from(*cut).max(2);
    for other in [
        parse_in_steps(bytes, &config, [bytes.len()], HeadParser::parse_any),
        parse_in_steps(bytes, &config, 0..=bytes.len(), HeadParser::parse),
        parse_in_steps(
            bytes,
            &config,
            (0..bytes.len()).step_by(steps).chain([bytes.len()]),
            HeadParser::parse,
        ),
    ] {
        assert_eq!(other.0, expected.0);
        assert_eq!(shown(&other), shown(&expected));
    }
    match expected.0 {
        Parsed::Complete(length) => check_taken(&bytes[..length], &expected.1, &config),
        Parsed::NeedMore => assert!(bytes.len() < config.head_bytes_max),
        Parsed::Refused(refusal) => assert!(refusal.status().as_u16() >= 400),
    }
}

fn head_limits(choice: u8) -> Config {
    let config = Config::new()
        .extension_methods(choice & 1 != 0)
        .connect(choice & 2 != 0);
    // Small limits are reached by small inputs.
    match choice & 4 {
        0 => config,
        _ => config
            .head_bytes_max(128)
            .header_count_max(3)
            .target_bytes_max(16),
    }
}

/// Feeds `input` up to each of the lengths until the outcome is final.
fn parse_in_steps(
    input: &[u8],
    config: &Config,
    lengths: impl IntoIterator<Item = usize>,
    parse: fn(&mut HeadParser, &[u8], &Config, &mut RequestHead) -> Parsed,
) -> (Parsed, RequestHead) {
    let (mut parser, mut head) = (HeadParser::default(), RequestHead::new());
    let mut parsed = Parsed::NeedMore;
    for length in lengths {
        parsed = parse(&mut parser, &input[..length], config, &mut head);
        if parsed != Parsed::NeedMore {
            break;
        }
    }
    (parsed, head)
}

/// What a head that was not taken holds is nobody's business.
fn shown((parsed, head): &(Parsed, RequestHead)) -> String {
    match parsed {
        Parsed::Complete(_) => format!("{head:?}"),
        _ => String::new(),
    }
}

fn check_taken(bytes: &[u8], head: &RequestHead, config: &Config) {
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!(bytes.len() <= config.head_bytes_max);
    assert!(head.field_count() <= config.header_count_max);
    let alone = parse_in_steps(bytes, config, [bytes.len()], HeadParser::parse);
    assert_eq!(shown(&alone), format!("{head:?}"));
    let (target, path) = (head.target(bytes), head.path(bytes));
    assert!(!target.is_empty() && target.len() <= config.target_bytes_max);
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(path == "/" || target.contains(path));
    assert!(
        head.query(bytes)
            .is_none_or(|query| target.ends_with(query))
    );
    Uri::try_from(target).expect("a target is a URI");
    let hosts = (0..head.field_count())
        .filter_map(|index| head.field(bytes, index))
        .inspect(|(name, value)| {
            HeaderName::from_bytes(name.as_bytes()).expect("a name is one");
            HeaderValue::from_bytes(value).expect("a value is one");
            assert_eq!(value.trim_ascii(), *value);
        })
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .count();
    assert!(hosts <= 1);
    assert!(head.version() == ::http::Version::HTTP_10 || head.host(bytes).is_some());
}

/// What became of a body: the data before the end of the input or a fault, and that.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    /// How many bytes it took, with its trailers, if it has an end.
    end: Option<Result<(usize, Option<HeaderMap>), Refusal>>,
}

/// Decodes a chunked body: the outcome is the same however the bytes are cut and the data is taken, and equals that of a decoder
/// that is as simple as it can be.
///
/// The first byte chooses the limits, the second where the bytes are cut.
///
/// # Panics
///
/// If it is not so.
pub fn check_chunked(input: &[u8]) {
    let [choice, cut, bytes @ ..] = input else {
        return;
    };
    let config = match choice & 1 {
        0 => Config::new(),
        _ => Config::new()
            .chunk_extension_bytes_max(8)
            .trailer_bytes_max(32)
            .trailer_count_max(2),
    };
    let expected = decode(bytes, &config, usize::MAX, usize::MAX);
    let cut = usize::from(*cut).max(1);
    for (piece_bytes, taken_bytes) in [(1, usize::MAX), (cut, usize::MAX), (usize::MAX, cut)] {
        assert_eq!(decode(bytes, &config, piece_bytes, taken_bytes), expected);
    }
    match (&expected.end, decode_simply(bytes)) {
        (Some(Ok((used, trailers))), simple) => {
            let simple = simple.expect("what is taken is a chunked body");
            assert_eq!((&simple.data, simple.used), (&expected.data, *used));
            assert_eq!(trailers.as_ref().map_or(0, HeaderMap::len), simple.trailers);
        }
        (_, Some(simple)) => assert!(!simple.is_plain, "a plain body is not taken"),
        (_, None) => {}
    }
}

fn decode(input: &[u8], config: &Config, piece_bytes: usize, taken_bytes: usize) -> Body {
    let mut decoder = ChunkedDecoder::new();
    let (mut data, mut at) = (Vec::new(), 0_usize);
    loop {
        let piece = &input[at..at.saturating_add(piece_bytes).min(input.len())];
        let end = match decoder.decode(piece, config) {
            Ok(Decoded::Data { skipped, length }) => {
                let length = length.min(taken_bytes);
                assert!(length > 0 && decoder.data_left() >= Some(length as u64));
                at += skipped;
                data.extend_from_slice(&input[at..at + length]);
                decoder.take(length);
                at += length;
                continue;
            }
            Ok(Decoded::NeedMore) if piece.is_empty() => None,
            Ok(Decoded::NeedMore) => {
                at += piece.len();
                continue;
            }
            Ok(Decoded::End { skipped }) => {
                let trailers = decoder.take_trailers();
                Some(trailers.map(|trailers| (at + skipped, trailers)))
            }
            Err(refusal) => Some(Err(refusal)),
        };
        return Body { data, end };
    }
}

/// What the simple decoder found.
struct Simple {
    data: Vec<u8>,
    used: usize,
    trailers: usize,
    /// There are neither extensions nor trailers, so there is nothing a strict decoder could refuse.
    is_plain: bool,
}

/// Decodes a whole body by lines. It looks neither at extensions nor into trailers.
fn decode_simply(input: &[u8]) -> Option<Simple> {
    let mut simple = Simple {
        data: Vec::new(),
        used: 0,
        trailers: 0,
        is_plain: true,
    };
    loop {
        let line = take_line(input, &mut simple.used)?;
        let digits = line.split(|byte| *byte == b';').next()?;
        simple.is_plain &= digits.len() == line.len();
        if !(1..=16).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let end = simple.used.checked_add(usize::try_from(size).ok()?)?;
        simple.data.extend_from_slice(input.get(simple.used..end)?);
        simple.used = end;
        if !take_line(input, &mut simple.used)?.is_empty() {
            return None;
        }
    }
    while !take_line(input, &mut simple.used)?.is_empty() {
        simple.trailers += 1;
        simple.is_plain = false;
    }
    Some(simple)
}

fn take_line<'a>(input: &'a [u8], used: &mut usize) -> Option<&'a [u8]> {
    let rest = &input[*used..];
    let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
    *used += length + 2;
    Some(&rest[..length])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Replays what a fuzzer has found worth keeping, if it is there: the package may stand alone.
    fn replay(target: &str, check: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds");
        let Ok(entries) = fs::read_dir(seeds.join(target)) else {
            return;
        };
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            let input = fs::read(&path).expect("a readable file");
            if std::panic::catch_unwind(|| check(&input)).is_err() {
                panic!("{}: {}", path.display(), input.escape_ascii());
            }
            count += 1;
        }
        assert!(count > 0, "no seeds for {target}");
    }

    #[test]
    fn the_kept_heads_are_parsed_as_promised() {
        replay("http_head", check_head);
    }

    #[test]
    fn the_kept_chunks_are_decoded_as_promised() {
        replay("http_chunked", check_chunked);
    }

    #[test]
    fn the_simple_decoder_decodes() {
        let simple =
            decode_simply(b"5;a\r\nhello\r\n1\r\n!\r\n0\r\na: b\r\n\r\nrest").expect("whole");
        assert_eq!(simple.data, b"hello!");
        assert_eq!(
            (simple.used, simple.trailers, simple.is_plain),
            (29, 1, false)
        );
        assert!(decode_simply(b"5\r\nhell\r\n0\r\n\r\n").is_none());
        assert!(decode_simply(b"1\r\na\r\n0\r\n").is_none());
    }
}

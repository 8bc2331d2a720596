//! Rules of request heads: what is refused and with which status, what is taken, and that cuts change nothing.

use super::*;

mod framing;
mod limits;
mod ways;

fn parse_whole(input: &[u8], config: &Config) -> (Parsed, RequestHead) {
    let mut head = RequestHead::new();
    let parsed = HeadParser::default().parse(input, config, &mut head);
    (parsed, head)
}

/// Feeds `input` up to each length of `lengths` and returns the first outcome that is final, or the last.
fn parse_in_steps(
    input: &[u8],
    config: &Config,
    lengths: impl Iterator<Item = usize>,
) -> (Parsed, RequestHead) {
    let (mut parser, mut head) = (HeadParser::default(), RequestHead::new());
    let mut parsed = Parsed::NeedMore;
    for length in lengths {
        parsed = parser.parse(&input[..length], config, &mut head);
        if parsed != Parsed::NeedMore {
            break;
        }
    }
    (parsed, head)
}

/// Parses `input` whole, cut once at every byte, and byte by byte, and checks that all agree.
fn parse(input: &[u8], config: &Config) -> (Parsed, RequestHead) {
    let (expected, expected_head) = parse_whole(input, config);
    let describe = |head: &RequestHead| match expected {
        // What a head refused or incomplete holds is nobody's business.
        Parsed::Complete(_) => format!("{head:?}"),
        _ => String::new(),
    };
    let check = |(parsed, head): (Parsed, RequestHead), how: &str| {
        let text = input.escape_ascii();
        assert_eq!(parsed, expected, "{how}: {text}");
        assert_eq!(describe(&head), describe(&expected_head), "{how}: {text}");
    };
    check(
        parse_in_steps(input, config, 0..=input.len()),
        "byte by byte",
    );
    for cut in 0..input.len() {
        let steps = [cut, input.len()].into_iter();
        check(
            parse_in_steps(input, config, steps),
            &format!("cut at {cut}"),
        );
    }
    (expected, expected_head)
}

fn status_of(input: &[u8], config: &Config) -> Option<u16> {
    match parse(input, config).0 {
        Parsed::Refused(refusal) => Some(refusal.status().as_u16()),
        Parsed::Complete(_) | Parsed::NeedMore => None,
    }
}

#[track_caller]
fn check_refused(input: impl AsRef<[u8]>, status: u16) {
    let input = input.as_ref();
    assert_eq!(
        status_of(input, &Config::new()),
        Some(status),
        "{}",
        input.escape_ascii()
    );
}

/// Checks that `input` is one whole head and returns it.
#[track_caller]
fn check_taken(input: impl AsRef<[u8]>) -> RequestHead {
    let input = input.as_ref();
    let (parsed, head) = parse(input, &Config::new());
    assert_eq!(
        parsed,
        Parsed::Complete(input.len()),
        "{}",
        input.escape_ascii()
    );
    head
}

/// A GET request with these further header lines.
fn with_fields(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn line_ends_other_than_crlf_are_refused() {
    for input in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\rHost: a\r\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rB: c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        check_refused(input, 400);
    }
}

#[test]
fn a_bare_line_feed_is_refused_before_the_head_ends() {
    check_refused("GET / HTTP/1.1\r\nHost: a\nB", 400);
}

#[test]
fn an_empty_line_before_the_request_is_refused() {
    check_refused("\r", 400);
    check_refused("\r\n", 400);
    check_refused("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
}

#[test]
fn request_lines_have_three_words() {
    for line in [
        " GET / HTTP/1.1",
        "  ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        "GET",
        " / HTTP/1.1",
        "G\0T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "(ET / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "\u{16}\u{3}\u{1}",
    ] {
        check_refused(format!("{line}\r\nHost: a\r\n\r\n"), 400);
    }
}

#[test]
fn what_is_not_http_is_refused_at_once() {
    check_refused(b"\x16\x03\x01", 400);
    check_refused(b"\x16\x03\x01\x02\x00\x01\n\n\n", 400);
    // A client of HTTP/0.9 waits for an answer after its only line.
    check_refused("GET /\r\n", 400);
    check_refused("PRI * HTTP/2.0\r\n", 505);
}

#[test]
fn only_two_versions_are_spoken() {
    assert_eq!(
        check_taken("GET / HTTP/1.0\r\n\r\n").version(),
        Version::HTTP_10
    );
    assert_eq!(check_taken(with_fields("")).version(), Version::HTTP_11);
    for (version, status) in [
        ("HTTP/1.2", 505),
        ("HTTP/1.9", 505),
        ("HTTP/2.0", 505),
        ("HTTP/0.9", 505),
        ("HTTP/9.9", 505),
        ("HTTP/1", 400),
        ("HTTP/2", 400),
        ("HTTP/1.", 400),
        ("HTTP/1.11", 400),
        ("HTTP/01.01", 400),
        ("HTTP/ 1.1", 400),
        ("HTTP/a.b", 400),
        ("http/1.1", 400),
        ("HTTPS/1.1", 400),
    ] {
        check_refused(format!("GET / {version}\r\nHost: a\r\n\r\n"), status);
    }
}

#[test]
fn methods_are_those_of_the_standard_unless_others_are_allowed() {
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
    ] {
        let head = check_taken(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(head.method().as_str(), method);
    }
    let others = Config::new().extension_methods(true);
    for method in [
        "get",
        "Get",
        "QUERY",
        "M-SEARCH",
        "X!#$%&'*+-.^_`|~9",
        &"A".repeat(32),
    ] {
        let input = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        check_refused(&input, 501);
        let (parsed, head) = parse(input.as_bytes(), &others);
        assert_eq!(parsed, Parsed::Complete(input.len()));
        assert_eq!(head.method().as_str(), method);
    }
    let tunnel = "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n";
    check_refused(tunnel, 501);
    let (parsed, head) = parse(tunnel.as_bytes(), &Config::new().connect(true));
    assert_eq!(parsed, Parsed::Complete(tunnel.len()));
    assert_eq!(head.host(tunnel.as_bytes()), Some("a:80"));
}

#[test]
fn targets_have_the_form_of_their_method() {
    for line in [
        "OPTIONS *",
        "GET http://a/b",
        "OPTIONS http://a",
        "GET /",
        "GET /a?b?c/d",
    ] {
        check_taken(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for line in [
        "GET *",
        "GET a",
        "GET a:80",
        "GET /a#b",
        "GET /a?b#c",
        "GET #",
        "GET /\u{e9}",
        "GET /?\u{e9}",
        "GET /\u{1}",
        "GET /\u{7f}",
        "GET /\0",
        "GET /a\\b",
        "GET /<a>",
        "GET /?\"",
        "GET ftp://a/",
        "GET http://",
        "CONNECT /",
        "CONNECT a",
    ] {
        check_refused(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    }
    check_refused(b"GET /\xc0\xaf HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_refused("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400);
    check_refused("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check_taken("GET http://a/ HTTP/1.0\r\n\r\n");
}

#[test]
fn http_1_1_has_one_host() {
    for field in [
        "Host: a",
        "hOsT:a:80",
        "Host: \t[::1]:80 \t",
        "Host: 127.0.0.1:17001",
    ] {
        check_taken(format!("GET / HTTP/1.1\r\n{field}\r\n\r\n"));
    }
    for fields in [
        "",
        "Accept: a\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nX: y\r\nHOST: b\r\n",
        "Host: a, b\r\n",
        "Host:\r\n",
        "Host: \r\n",
        "Host: user@a\r\n",
        "Host: a/b\r\n",
        "Host: a:b\r\n",
    ] {
        check_refused(format!("GET / HTTP/1.1\r\n{fields}\r\n"), 400);
    }
}

#[test]
fn http_1_0_has_at_most_one_host() {
    check_taken("GET / HTTP/1.0\r\n\r\n");
    check_taken("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    check_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    check_refused("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400);
}

#[test]
fn header_lines_are_strict() {
    for field in [
        "A : b",
        "A\t: b",
        " A: b",
        "\tA: b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A",
        ": b",
        "A[x]: b",
        "\u{e9}: b",
        "A: \0",
        "A: b\0c",
        "A: \u{1}",
        "A: \u{b}b",
        "A: b\u{c}",
        "A: b\u{7f}",
    ] {
        check_refused(with_fields(&format!("{field}\r\n")), 400);
    }
    // Folded into the line of another field, also the first one.
    check_refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400);
    check_refused("GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400);
}

#[test]
fn header_values_are_bytes_without_the_blanks_around() {
    let mut input =
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \t\xe9\tb \t\r\nEmpty: \r\nNone:\r\n".to_vec();
    input.extend_from_slice(b"Transfer_Encoding: chunked\r\n\r\n");
    let head = check_taken(&input);
    assert_eq!(head.value(&input, "x"), Some(&b"\xe9\tb"[..]));
    assert_eq!(head.value(&input, "EMPTY"), Some(&b""[..]));
    assert_eq!(head.value(&input, "none"), Some(&b""[..]));
    assert_eq!(head.field_count(), 5);
    assert_eq!(
        head.field(&input, 4),
        Some(("Transfer_Encoding", &b"chunked"[..]))
    );
    assert_eq!(head.field(&input, 5), None);
}

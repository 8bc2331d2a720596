//! Rules of request heads: what is refused and with which status, what is taken, and that cuts change nothing.

use super::*;

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
fn methods_are_of_bounded_length() {
    check_refused("A".repeat(33), 501);
    check_refused("A".repeat(100_000), 501);
    // Found by fuzzing: bytes of the next line were counted as the method's.
    check_refused("A".repeat(30) + "\n" + &"A".repeat(30), 400);
    check_refused("A".repeat(30) + "\r\nHost:a\r\n\r\n", 400);
    check_refused("A".repeat(33) + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
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

#[test]
fn content_length_is_one_decimal_number() {
    for (value, length) in [
        ("0", 0),
        ("5", 5),
        (" 5", 5),
        (" 18446744073709551615", u64::MAX),
    ] {
        let head = check_taken(with_fields(&format!("Content-Length:{value}\r\n")));
        assert_eq!(head.body(), BodyLength::Known(length), "{value}");
    }
    assert_eq!(check_taken(with_fields("")).body(), BodyLength::Known(0));
    for value in [
        "",
        " 5",
        "\t5",
        "5 ",
        "5\t",
        "005",
        "00",
        "+5",
        "-5",
        "-0",
        "0x5",
        "0o5",
        "1_0",
        "1 0",
        "abc",
        "5a",
        "5.",
        "5,5",
        "5, 5",
        "5, 6",
        ",5",
        "18446744073709551616",
        "1000000000000000000000000000000",
        "\u{664}",
    ] {
        check_refused(with_fields(&format!("Content-Length: {value}\r\n")), 400);
    }
    check_refused(
        with_fields("Content-Length: 5\r\ncontent-length: 6\r\n"),
        400,
    );
    check_refused(
        with_fields("Content-Length: 5\r\nContent-Length: 5\r\n"),
        400,
    );
}

#[test]
fn the_only_transfer_encoding_is_chunked() {
    for value in ["chunked", " chunked"] {
        let head = check_taken(with_fields(&format!("transfer-encoding:{value}\r\n")));
        assert_eq!(head.body(), BodyLength::Chunked);
    }
    for (value, status) in [
        ("gzip", 501),
        ("xchunked", 501),
        ("identity", 501),
        ("gzip, chunked", 501),
        ("gzip,deflate , Chunked", 501),
        ("chunked, gzip", 400),
        ("chunked, chunked", 400),
        ("gzip, chunked, chunked", 400),
        ("chunked;p=v", 400),
        (", chunked", 400),
        ("chunked,", 400),
        ("gzip,,chunked", 400),
        ("Chunked", 400),
        ("\tchunked", 400),
        (" chunked", 400),
        ("chunked ", 400),
        ("\"chunked\"", 501),
        ("", 400),
    ] {
        check_refused(
            with_fields(&format!("Transfer-Encoding: {value}\r\n")),
            status,
        );
    }
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "TRANSFER-ENCODING: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: +5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\0\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
    ] {
        check_refused(with_fields(fields), 400);
    }
    check_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

#[test]
fn one_expectation_is_known_to_clients_of_1_1() {
    let with_body = "Content-Length: 1\r\nExpect: 100-Continue\r\n";
    assert!(check_taken(with_fields(with_body)).awaits_continue());
    assert!(!check_taken(with_fields("Expect: 100-continue\r\n")).awaits_continue());
    for fields in [
        "Expect: else\r\n",
        "Expect:\r\n",
        "Expect: else\r\nExpect: 100-continue\r\n",
    ] {
        check_refused(with_fields(fields), 417);
    }
    let old = check_taken("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert!(!old.awaits_continue());
    check_taken("POST / HTTP/1.0\r\nExpect: else\r\n\r\n");
}

#[test]
fn an_upgrade_is_offered_by_two_fields_without_a_body() {
    use ::http::{HeaderValue, header};
    let switch = |protocol| [(header::UPGRADE, HeaderValue::from_static(protocol))];
    let input = with_fields("Connection: a, Upgrade\r\nUpgrade: h2c, WebSocket\r\n");
    let head = check_taken(&input);
    assert_eq!(head.persistence(), Persistence::Keep);
    assert!(head.offers(input.as_bytes(), &switch("websocket")));
    assert!(!head.offers(input.as_bytes(), &switch("other")));
    assert!(!head.offers(input.as_bytes(), &[]));
    for input in [
        with_fields("Upgrade: h2c\r\n"),
        with_fields("Connection: upgrade\r\n"),
        with_fields("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n"),
        "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        with_fields("Connection: upgrade\r\nUpgrade: h2c\r\n").replace("GET", "POST"),
    ] {
        assert!(
            !check_taken(&input).offers(input.as_bytes(), &switch("h2c")),
            "{input}"
        );
    }
}

#[test]
fn connection_options_are_lists_in_any_case() {
    use Persistence::{Close, Keep, KeepAnnounced};
    for (fields, in_1_1, in_1_0) in [
        ("", Keep, Close),
        ("Connection: close\r\n", Close, Close),
        ("Connection: CLOSE\r\n", Close, Close),
        ("Connection: keep-alive\r\n", Keep, KeepAnnounced),
        ("connection: Keep-Alive\r\n", Keep, KeepAnnounced),
        ("Connection: a,\tclose ,b\r\n", Close, Close),
        ("Connection: a , keep-alive\r\n", Keep, KeepAnnounced),
        ("Connection: a\r\nConnection: close\r\n", Close, Close),
        (
            "Connection: keep-alive\r\nConnection: close\r\n",
            Close,
            Close,
        ),
        ("Connection: close, keep-alive\r\n", Close, Close),
        ("Connection: closed\r\n", Keep, Close),
        ("Connection:\r\n", Keep, Close),
        ("Keep-Alive: 5\r\n", Keep, Close),
    ] {
        assert_eq!(
            check_taken(with_fields(fields)).persistence(),
            in_1_1,
            "{fields}"
        );
        let old = format!("GET / HTTP/1.0\r\n{fields}\r\n");
        assert_eq!(check_taken(old).persistence(), in_1_0, "{fields}");
    }
}

#[test]
fn a_head_may_fill_its_limit_but_no_more() {
    let config = Config::new().head_bytes_max(100);
    let head_of = |bytes: usize| {
        let frame = with_fields("X: \r\n").len();
        with_fields(&format!("X: {}\r\n", "y".repeat(bytes - frame)))
    };
    assert_eq!(
        parse(head_of(100).as_bytes(), &config).0,
        Parsed::Complete(100)
    );
    assert_eq!(status_of(head_of(101).as_bytes(), &config), Some(431));
    assert_eq!(
        status_of(&head_of(150).as_bytes()[..100], &config),
        Some(431)
    );
    assert_eq!(
        parse(&head_of(150).as_bytes()[..99], &config).0,
        Parsed::NeedMore
    );
}

#[test]
fn a_head_over_the_default_limit_is_refused() {
    let input = with_fields(&format!("X: {}\r\n", "y".repeat(20_000)));
    let (parsed, _) = parse_whole(input.as_bytes(), &Config::new());
    let Parsed::Refused(refusal) = parsed else {
        panic!("{parsed:?}")
    };
    assert_eq!(
        refusal.status(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
}

#[test]
fn the_number_of_fields_is_limited() {
    let config = Config::new().header_count_max(30);
    let head_of = |count: usize| with_fields(&"A: b\r\n".repeat(count - 1));
    // On both sides of the number that is parsed with few slots, and at the limit.
    for count in [FEW_FIELDS, FEW_FIELDS + 1, 30] {
        let input = head_of(count);
        let (parsed, head) = parse(input.as_bytes(), &config);
        assert_eq!(parsed, Parsed::Complete(input.len()), "{count}");
        assert_eq!(head.field_count(), count);
    }
    assert_eq!(status_of(head_of(31).as_bytes(), &config), Some(431));
    let huge = head_of(10_000);
    assert!(matches!(parse_whole(huge.as_bytes(), &Config::new()).0,
        Parsed::Refused(refusal) if refusal.status().as_u16() == 431));
}

#[test]
fn as_many_fields_as_can_be_configured_are_parsed() {
    let input = with_fields(&"A: b\r\n".repeat(HEADER_COUNT_CEILING - 1));
    let config = Config::new().header_count_max(HEADER_COUNT_CEILING);
    let (parsed, head) = parse_whole(input.as_bytes(), &config);
    assert_eq!(parsed, Parsed::Complete(input.len()));
    assert_eq!(head.field_count(), HEADER_COUNT_CEILING);
}

#[test]
fn the_target_is_limited() {
    let config = Config::new().target_bytes_max(20);
    let head_of =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "b".repeat(bytes - 1));
    let input = head_of(20);
    assert_eq!(
        parse(input.as_bytes(), &config).0,
        Parsed::Complete(input.len())
    );
    for bytes in [21, 50, 51, 52, 53, 54, 55, 60, 100] {
        assert_eq!(
            status_of(head_of(bytes).as_bytes(), &config),
            Some(414),
            "{bytes}"
        );
    }
    // Before the line ends, and rather for the target than for the head.
    assert_eq!(
        status_of(&head_of(100).as_bytes()[..70], &config),
        Some(414)
    );
    let long = head_of(100_000);
    assert!(matches!(parse_whole(long.as_bytes(), &Config::new()).0,
        Parsed::Refused(refusal) if refusal.status().as_u16() == 414));
    let usual = head_of(8_000);
    assert_eq!(
        parse_whole(usual.as_bytes(), &Config::new()).0,
        Parsed::Complete(usual.len())
    );
}

#[test]
fn the_largest_head_that_can_be_configured_is_parsed() {
    let config = Config::new()
        .head_bytes_max(usize::MAX)
        .target_bytes_max(usize::MAX);
    let frame = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".len();
    let target = format!("/{}", "b".repeat(usize::from(u16::MAX) - frame));
    let input = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(input.len(), usize::from(u16::MAX));
    let (parsed, head) = parse_whole(input.as_bytes(), &config);
    assert_eq!(parsed, Parsed::Complete(input.len()));
    assert_eq!(head.target(input.as_bytes()), target);
    assert_eq!(head.value(input.as_bytes(), "host"), Some(&b"a"[..]));
}

#[test]
fn of_several_faults_the_first_decides() {
    // Found by fuzzing: a whole head told of its fields first.
    let (parsed, _) = parse(b"GET a HTTP/1.1\r\n:\r\n\r\n", &Config::new());
    let Parsed::Refused(refusal) = parsed else {
        panic!("{parsed:?}")
    };
    assert_eq!(refusal.reason(), "the request target has no known form");
    for (input, status) in [
        ("GET / HTTP/2.0\r\nHost: a\nb", 505),
        ("GET * HTTP/1.1\r\nHost: a\nb", 400),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA(\n", 501),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nX\n\r\n", 400),
        (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA( / HTTP/1.1\r\nHost: a\r\n\r\n",
            501,
        ),
    ] {
        check_refused(input, status);
    }
    let long = format!("GET /{} HTTP/2.0\r\nHost: a\r\n\r\n", "b".repeat(100));
    assert_eq!(
        status_of(long.as_bytes(), &Config::new().target_bytes_max(20)),
        Some(414)
    );
}

#[test]
fn a_request_line_is_checked_once_while_the_head_is_incomplete() {
    let (mut parser, mut head) = (HeadParser::default(), RequestHead::new());
    let config = Config::new();
    let start = b"GET / HTTP/1.1\r\nHost";
    assert_eq!(parser.parse(start, &config, &mut head), Parsed::NeedMore);
    // A second check would refuse what stands there now.
    let swapped = b"################Host: a";
    assert_eq!(parser.parse(swapped, &config, &mut head), Parsed::NeedMore);
}

#[test]
fn heads_follow_one_another() {
    let first = "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let second = "GET /second?q HTTP/1.0\r\nX: y\r\n\r\n";
    let (mut parser, mut head) = (HeadParser::default(), RequestHead::new());
    let both = format!("{first}{second}");
    let parsed = parser.parse(both.as_bytes(), &Config::new(), &mut head);
    assert_eq!(parsed, Parsed::Complete(first.len()));
    assert_eq!(
        (head.path(first.as_bytes()), head.body()),
        ("/first", BodyLength::Known(4))
    );
    let rest = &both.as_bytes()[first.len()..];
    assert_eq!(
        parser.parse(rest, &Config::new(), &mut head),
        Parsed::Complete(second.len())
    );
    assert_eq!(head.method(), Method::GET);
    assert_eq!(head.path(rest), "/second");
    assert_eq!(
        (head.host(rest), head.body(), head.field_count()),
        (None, BodyLength::Known(0), 1)
    );
    assert_eq!(head.persistence(), Persistence::Close);
}

#[test]
fn every_byte_in_every_place_of_a_head_is_taken_or_refused_alike_however_cut() {
    let original = b"GET /a?b HTTP/1.1\r\nHost: c:1\r\nContent-Length: 2\r\n\r\n";
    let mut taken = 0;
    for position in 0..original.len() {
        for byte in 0..=u8::MAX {
            let mut input = original.to_vec();
            input[position] = byte;
            let (parsed, head) = parse_whole(&input, &Config::new());
            let (dripped, _) = parse_in_steps(&input, &Config::new(), 0..=input.len());
            assert_eq!(dripped, parsed, "{}", input.escape_ascii());
            if let Parsed::Complete(length) = parsed {
                taken += 1;
                assert_eq!(length, input.len());
                assert!(!head.target(&input).is_empty());
            }
        }
    }
    // More than the unchanged ones, so that the test is not about refusals only.
    assert!(taken > original.len());
}

#[test]
fn plain_heads_are_read_like_any_other() {
    let config = Config::new()
        .head_bytes_max(200)
        .target_bytes_max(20)
        .header_count_max(5);
    let (mut plain, mut other) = (0, 0);
    let mut check = |input: &[u8]| {
        let mut head = RequestHead::new();
        let Some(end) = head.read_plain(input, &config) else {
            return other += 1;
        };
        plain += 1;
        let mut expected = RequestHead::new();
        let parsed = HeadParser::default().parse_any(input, &config, &mut expected);
        let text = input.escape_ascii();
        assert_eq!(parsed, Parsed::Complete(end), "{text}");
        assert_eq!(format!("{head:?}"), format!("{expected:?}"), "{text}");
    };
    for original in [
        "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:17001\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a=b?c=/d?e HTTP/1.1\r\nHOST:a-b.c\r\nAccept: */*\r\n\r\nGET",
        "POST /a-rather-long/p HTTP/1.1\r\nhost: a:65535\r\nContent-Length: 12\r\nConnection: close\r\n\r\nbody",
        "PUT /1234567 HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nHost: a:65529\r\n\r\n",
        "HEAD /%20 HTTP/1.0\r\nConnection: keep-alive\r\nExpect: a\r\nX-Y: \u{e9} b\r\n\r\n",
        "PATCH /12345678901234567 HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n",
        "DELETE /a HTTP/1.1\r\nHost: a\r\nHost1: a\r\nTransfer-Encodin: a\r\n\r\n",
    ] {
        let original = original.as_bytes();
        check(original);
        for position in 0..original.len() {
            // With one byte less, with another one in its place, and with one more.
            check(&[&original[..position], &original[position + 1..]].concat());
            check(&[&original[..=position], &original[position..]].concat());
            for byte in 0..=u8::MAX {
                let mut input = original.to_vec();
                input[position] = byte;
                check(&input);
                input.insert(position, original[position]);
                check(&input);
            }
        }
    }
    // Both occur often enough for the test to be about something.
    assert!(plain > 50_000 && other > 50_000, "{plain} {other}");
}

#[test]
fn common_heads_are_plain() {
    for input in [
        "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:17001\r\n\r\n",
        "GET /a/b.html?c=d&e=%20 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
        "POST /form HTTP/1.1\r\nHost: localhost:8080\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut head = RequestHead::new();
        assert!(
            head.read_plain(input.as_bytes(), &Config::new()).is_some(),
            "{input}"
        );
    }
}

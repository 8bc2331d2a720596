//! The ways of parsing a head: in pieces, one after the other, plain or not.

use super::*;

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

//! Limits of a head, each at its border.

use super::*;

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

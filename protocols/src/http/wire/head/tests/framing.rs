//! What fields say of the body and the connection.

use super::*;

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

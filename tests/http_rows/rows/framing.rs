//! Rows 34 to 51: Content-Length, Transfer-Encoding, and both.

use kapok::http::Config;

use super::{Row, broken, chunked, post, refused, row, taken};

const HELLO_SEEN: &str = "POST /a \"hello\"";
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

pub fn rows() -> Vec<Row> {
    [both(), smuggled(), lengths(), bodies(), codings()]
        .into_iter()
        .flatten()
        .collect()
}

fn both() -> Vec<Row> {
    vec![
        refused(
            34,
            "length, then coding",
            post("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", CHUNKS),
            400,
        ),
        refused(
            34,
            "coding, then length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 15\r\n", CHUNKS),
            400,
        ),
        refused(
            34,
            "length of 0 and coding",
            post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            400,
        ),
        refused(
            34,
            "length and an unknown coding",
            post("Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", "hello"),
            501,
        ),
    ]
}

/// A second request hides in the body: who goes by the length sees one request, who goes by the coding sees two, or the other
/// way round.
fn smuggled() -> Vec<Row> {
    let heads = [
        ("both right", "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n"),
        ("+length", "Content-Length: +{}\r\nTransfer-Encoding: chunked\r\n"),
        ("length and a letter", "Content-Length: {}a\r\nTransfer-Encoding: chunked\r\n"),
        ("folded coding", "Content-Length: {}\r\nTransfer-Encoding:\r\n chunked\r\n"),
        ("SP behind the coding", "Content-Length: {}\r\nTransfer-Encoding: chunked \r\n"),
        ("comma before the coding", "Content-Length: {}\r\nTransfer-Encoding: , chunked\r\n"),
        ("coding in other case", "Content-Length: {}\r\nTransfer-Encoding: CHUNKED\r\n"),
        ("SP before the colon", "Content-Length: {}\r\nTransfer-Encoding : chunked\r\n"),
        ("+length alone", "Content-Length: +{}\r\n"),
        ("length and a letter alone", "Content-Length: {}a\r\n"),
        ("folded coding alone", "Transfer-Encoding:\r\n chunked\r\n"),
        ("comma before the coding alone", "Transfer-Encoding: , chunked\r\n"),
    ];
    let mut rows = Vec::new();
    for (name, fields) in heads {
        for method in ["GET", "HEAD"] {
            let hidden = format!("{method} /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
            // By the coding the body ends before the hidden request; by the length behind it.
            let body = format!("0\r\n\r\n{hidden}");
            let fields_of = |length: usize| fields.replace("{}", &length.to_string());
            rows.push(refused(35, name, post(&fields_of(body.len()), &body), 400));
            // By the length the body ends before the hidden request; by the coding behind it.
            let body = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
            let size_line = body.find('\n').unwrap_or_default() + 1;
            rows.push(refused(35, name, post(&fields_of(size_line), &body), 400));
        }
    }
    rows
}

fn lengths() -> Vec<Row> {
    let mut rows = vec![
        refused(36, "two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400),
        refused(36, "a list of two lengths", post("Content-Length: 5, 6\r\n", "hello"), 400),
        refused(37, "the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400),
        refused(37, "a list of the same length", post("Content-Length: 5, 5\r\n", "hello"), 400),
        refused(37, "three times the same", post("Content-Length: 5, 5, 5\r\n", "hello"), 400),
    ];
    let of_length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "hello");
    for value in ["+5", "-5", "-0", "0x5", "0o5", "1_0", "1 0", "abc", "5a", "5.0", "5,", ",5", "\u{665}", ""] {
        rows.push(refused(38, "no number", of_length(value), 400));
    }
    for value in ["18446744073709551616", "1000000000000000000000000000000"] {
        rows.push(refused(39, "a length past 64 bits", of_length(value), 400));
    }
    for value in ["005", "0200", "00"] {
        rows.push(refused(40, "zeros in front", of_length(value), 400));
    }
    for field in [
        "Content-Length:  5",
        "Content-Length:\t5",
        "Content-Length: \t5",
        "Content-Length: 5 ",
        "Content-Length: 5\t",
        "Content-Length:5 ",
    ] {
        rows.push(refused(41, "blanks around", post(&format!("{field}\r\n"), "hello"), 400));
    }
    rows.extend([
        taken(40, "a length of 0", post("Content-Length: 0\r\n", ""), "POST /a \"\""),
        taken(41, "one SP in front", post("Content-Length: 5\r\n", "hello"), HELLO_SEEN),
        taken(41, "no SP in front", post("Content-Length:5\r\n", "hello"), HELLO_SEEN),
    ]);
    rows
}

fn bodies() -> Vec<Row> {
    let much = Config::new().body_bytes_max(u64::MAX);
    let promised = post("Content-Length: 999999999\r\n", "");
    vec![
        row(42, "a huge body, over the limit", promised.clone(), "413 closed", &["POST /a broken"])
            .then_silence(),
        row(42, "a huge body that does not come", promised.clone(), "408 closed", &["POST /a broken"])
            .with_config(much.clone())
            .then_silence(),
        broken(42, "a huge body and the end", promised).with_config(much).alone(),
        row(
            42,
            "a body of nearly 2^64",
            post("Content-Length: 18446744073709551615\r\n", ""),
            "413 closed",
            &["POST /a broken"],
        )
        .then_silence(),
        broken(43, "10 promised, 5 sent", post("Content-Length: 10\r\n", "hello")).alone(),
        broken(43, "10 promised, none sent", post("Content-Length: 10\r\n", "")).alone(),
    ]
}

fn codings() -> Vec<Row> {
    let of_coding = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), CHUNKS);
    let mut rows = Vec::new();
    for value in ["xchunked", "identity", "gzip", "gzip, chunked"] {
        rows.push(refused(44, "an unknown coding", of_coding(value), 501));
    }
    for value in ["", "chunked\0", "chunked\x0b", "\x0bchunked", "chunked\x0c", "\x0cchunked"] {
        rows.push(refused(45, "no coding, or CTL beside it", of_coding(value), 400));
    }
    rows.push(refused(46, "chunked, gzip", of_coding("chunked, gzip"), 400));
    for value in ["chunked, chunked", "chunked\r\nTransfer-Encoding: chunked", "chunked;p=v"] {
        rows.push(refused(47, "not once and plain", of_coding(value), 400));
    }
    for value in [", chunked", "chunked,", "Chunked", "\tchunked"] {
        rows.push(refused(48, "odd ways to say chunked", of_coding(value), 400));
    }
    rows.extend([
        refused(
            49,
            "a coding in HTTP/1.0",
            format!("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}"),
            400,
        ),
        taken(
            50,
            "Transfer_Encoding is any other field",
            post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello"),
            HELLO_SEEN,
        ),
        refused(51, "SP before the colon", post("Transfer-Encoding : chunked\r\n", CHUNKS), 400),
        taken(48, "chunked", chunked(CHUNKS), HELLO_SEEN),
    ]);
    rows
}

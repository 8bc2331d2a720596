//! Rows 69 to 72: what is too long, what is not HTTP, and who says nothing. The rows about time are also in `time.rs`.

use super::{Row, broken, bytes, get, line, post, refused, row, taken};

const LONG: usize = 100_000;

pub fn rows() -> Vec<Row> {
    [too_long(), not_http(), silent()]
        .into_iter()
        .flatten()
        .collect()
}

fn too_long() -> Vec<Row> {
    let path = format!("/{}", "b".repeat(7_999));
    let long = "b".repeat(LONG);
    vec![
        refused(69, "a target of 100 KB", line(&format!("GET /{long} HTTP/1.1")), 414),
        taken(69, "a target of 8000 bytes", line(&format!("GET {path} HTTP/1.1")), &format!("GET {path} \"\"")),
        refused(70, "a header value of 100 KB", get(&format!("X: {long}\r\n")), 431),
        refused(70, "a header name of 100 KB", get(&format!("{long}: x\r\n")), 431),
        refused(70, "a method of 100 KB", line(&format!("{} / HTTP/1.1", "B".repeat(LONG))), 501),
        refused(70, "10,000 headers", get(&"X: y\r\n".repeat(10_000)), 431),
    ]
}

fn not_http() -> Vec<Row> {
    let hello = b"\x16\x03\x01\x00\xc5\x01\x00\x00\xc1\x03\x03\x0a\x0b\x0c\x0d\x0a\x0d\x0a";
    let every_byte: Vec<u8> = (0..=255).collect();
    vec![
        refused(71, "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        refused(71, "a TLS hello", &hello[..], 400),
        refused(71, "every byte", every_byte.clone(), 400),
        refused(71, "every byte behind a method", bytes("GET ", &every_byte, "\r\n\r\n"), 400),
        refused(71, "bytes above 127", &[0xff; 100][..], 400),
    ]
}

fn silent() -> Vec<Row> {
    vec![
        row(72, "nothing at all", "", "closed", &[]).then_silence(),
        row(72, "nothing, then the end", "", "open", &[]).alone(),
        row(72, "half a request line", "GET / HT", "408 closed", &[]).then_silence(),
        row(72, "half a head", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "408 closed", &[]).then_silence(),
        row(72, "half a body", post("Content-Length: 10\r\n", "hello"), "408 closed", &["POST /a broken"])
            .then_silence(),
        row(
            72,
            "half a chunked body",
            post("Transfer-Encoding: chunked\r\n", "5\r\nhel"),
            "408 closed",
            &["POST /a broken"],
        )
        .then_silence(),
        row(72, "silence behind a request", get(""), "200 closed", &["GET /a \"\""]).then_silence(),
        broken(72, "half a body, then the end", post("Content-Length: 10\r\n", "hello")).alone(),
    ]
}

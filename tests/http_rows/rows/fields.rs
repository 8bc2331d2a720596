//! Rows 23 to 33: Host, and what a header line may look like.

use super::{Row, bytes, get, refused, row, taken};

pub fn rows() -> Vec<Row> {
    [hosts(), lines(), values()].into_iter().flatten().collect()
}

fn hosts() -> Vec<Row> {
    vec![
        refused(23, "no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        refused(23, "no Host among others", "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", 400),
        refused(24, "two Host, different", get("Host: b\r\n"), 400),
        refused(24, "two Host, the same", get("Host: a\r\n"), 400),
        refused(24, "two Host, apart and in other case", get("X: y\r\nHOST: a\r\n"), 400),
        refused(24, "Host: a, b", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        refused(25, "an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        refused(25, "a blank Host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", 400),
        refused(25, "Host: user@a", "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        refused(25, "Host: a/path", "GET / HTTP/1.1\r\nHost: a/path\r\n\r\n", 400),
        row(26, "HTTP/1.0 without Host", "GET /a HTTP/1.0\r\n\r\n", "200 closed", &["GET /a \"\""]),
    ]
}

fn lines() -> Vec<Row> {
    vec![
        refused(27, "obs-fold with SP", get("X: y\r\n z\r\n"), 400),
        refused(27, "obs-fold with TAB", get("X: y\r\n\tz\r\n"), 400),
        refused(27, "obs-fold of Host", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400),
        refused(28, "SP before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        refused(28, "TAB before the first header", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400),
        refused(28, "a blank line first", "GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400),
        refused(29, "SP before the colon", get("X : y\r\n"), 400),
        refused(29, "TAB before the colon", get("X\t: y\r\n"), 400),
        refused(29, "SP before the colon of Host", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        refused(30, "no colon", get("X\r\n"), 400),
        refused(30, "an empty name", get(": y\r\n"), 400),
        refused(30, "brackets in a name", get("X[y]: z\r\n"), 400),
        refused(30, "a name of UTF-8", get("\u{e9}: y\r\n"), 400),
        refused(30, "a name of Latin 1", bytes("GET / HTTP/1.1\r\nHost: a\r\n", b"\xe9", ": y\r\n\r\n"), 400),
        refused(30, "NUL in a name", get("X\0Y: z\r\n"), 400),
    ]
}

fn values() -> Vec<Row> {
    vec![
        refused(31, "NUL in a value", get("X: a\0b\r\n"), 400),
        refused(31, "CTL in a value", get("X: a\x01b\r\n"), 400),
        refused(31, "VT in a value", get("X: a\x0bb\r\n"), 400),
        refused(31, "FF in a value", get("X: a\x0cb\r\n"), 400),
        refused(31, "ESC in a value", get("X: a\x1bb\r\n"), 400),
        refused(31, "DEL in a value", get("X: a\x7fb\r\n"), 400),
        refused(31, "VT before a value", get("X: \x0ba\r\n"), 400),
        refused(31, "NUL behind a value", get("X: a\0\r\n"), 400),
        refused(32, "bare CR in a value", get("X: a\rb\r\n"), 400),
        refused(32, "CR CR LF behind a value", get("X: a\r\r\n"), 400),
        refused(32, "CR CR LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400),
        taken(
            33,
            "every byte of obs-text",
            bytes("GET /a HTTP/1.1\r\nHost: a\r\nX: ", &(0x80..=0xff).collect::<Vec<u8>>(), "\r\n\r\n"),
            "GET /a \"\" X of 128 bytes",
        ),
        taken(33, "TAB in a value", get("X: a\tb\r\n"), "GET /a \"\" X of 3 bytes"),
        taken(33, "an empty value", get("X:\r\n"), "GET /a \"\" X of 0 bytes"),
    ]
}

//! Rows 1 to 22: line ends, request line, target, version.

use super::{Row, bytes, line, refused, row, taken};

pub fn rows() -> Vec<Row> {
    [line_ends(), targets(), methods_and_versions()]
        .into_iter()
        .flatten()
        .collect()
}

fn line_ends() -> Vec<Row> {
    vec![
        refused(1, "bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        refused(1, "bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400),
        refused(2, "bare LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        refused(2, "bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        refused(3, "bare CR after the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
        refused(3, "bare CR after a header", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
        refused(3, "CR as the only line end", "GET / HTTP/1.1\rHost: a\r\r", 400),
        refused(4, "one empty line before the request line", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        refused(4, "several empty lines", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        refused(4, "LF before the request line", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        row(
            4,
            "an empty line between two requests",
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "200 400 closed",
            &["POST /a \"hello\""],
        ),
        refused(5, "SP before the request line", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        refused(5, "TAB before the request line", "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        refused(5, "a line of blanks first", "  \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        refused(6, "two SP before the target", line("GET  / HTTP/1.1"), 400),
        refused(6, "two SP behind the target", line("GET /  HTTP/1.1"), 400),
        refused(6, "TAB before the target", line("GET\t/ HTTP/1.1"), 400),
        refused(6, "TAB behind the target", line("GET /\tHTTP/1.1"), 400),
        refused(6, "SP behind the version", line("GET / HTTP/1.1 "), 400),
    ]
}

fn targets() -> Vec<Row> {
    vec![
        refused(7, "no target", line("GET HTTP/1.1"), 400),
        refused(7, "an empty target", line("GET  HTTP/1.1"), 400),
        refused(8, "SP in the target", line("GET /a b HTTP/1.1"), 400),
        refused(9, "a fragment", line("GET /a#frag HTTP/1.1"), 400),
        refused(9, "a fragment behind a query", line("GET /a?b#frag HTTP/1.1"), 400),
        refused(10, "NUL in the target", line("GET /a\0b HTTP/1.1"), 400),
        refused(10, "DEL in the target", line("GET /a\x7fb HTTP/1.1"), 400),
        refused(10, "CTL in the target", line("GET /a\x01b HTTP/1.1"), 400),
        refused(10, "CTL in the query", line("GET /?a\x01b HTTP/1.1"), 400),
        refused(11, "raw UTF-8 in the target", line("GET /\u{e9} HTTP/1.1"), 400),
        refused(11, "raw UTF-8 in the query", line("GET /?\u{e9} HTTP/1.1"), 400),
        refused(12, "overlong UTF-8", bytes("GET /", b"\xc0\xaf", " HTTP/1.1\r\nHost: a\r\n\r\n"), 400),
        refused(13, "a backslash", line("GET /a\\b HTTP/1.1"), 400),
        refused(13, "a quotation mark", line("GET /a\"b HTTP/1.1"), 400),
        refused(13, "an angle bracket", line("GET /a<b HTTP/1.1"), 400),
        taken(14, "an encoded NUL", line("GET /%00 HTTP/1.1"), "GET /%00 \"\""),
        taken(14, "an encoded CRLF", line("GET /%0d%0aX:%20y HTTP/1.1"), "GET /%0d%0aX:%20y \"\""),
        refused(15, "GET *", line("GET * HTTP/1.1"), 400),
        taken(16, "OPTIONS *", line("OPTIONS * HTTP/1.1"), "OPTIONS * \"\""),
        taken(17, "absolute-form", line("GET http://a/p HTTP/1.1"), "GET /p \"\""),
        taken(17, "absolute-form without a path", line("GET http://a HTTP/1.1"), "GET / \"\""),
        taken(17, "absolute-form in other case", line("GET HTTP://A/p HTTP/1.1"), "GET /p \"\""),
        taken(
            17,
            "absolute-form with the port of Host",
            "GET http://a:8080/p HTTP/1.1\r\nHost: a:8080\r\n\r\n",
            "GET /p \"\"",
        ),
        refused(17, "another host than Host", line("GET http://b/p HTTP/1.1"), 400),
        refused(17, "another port than Host", line("GET http://a:81/p HTTP/1.1"), 400),
        refused(17, "absolute-form without Host", "GET http://a/p HTTP/1.1\r\n\r\n", 400),
        refused(17, "a user in absolute-form", line("GET http://user@a/p HTTP/1.1"), 400),
        row(
            17,
            "absolute-form in HTTP/1.0",
            "GET http://a/p HTTP/1.0\r\n\r\n",
            "200 closed",
            &["GET /p \"\""],
        ),
    ]
}

fn methods_and_versions() -> Vec<Row> {
    vec![
        refused(18, "CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501),
        refused(19, "get", line("get / HTTP/1.1"), 501),
        refused(19, "an unknown method", line("FETCH / HTTP/1.1"), 501),
        refused(20, "HTTP/0.9", "GET /\r\n", 400),
        refused(21, "HTTP/1", line("GET / HTTP/1"), 400),
        refused(21, "HTTP/01.01", line("GET / HTTP/01.01"), 400),
        refused(21, "HTTP/ 1.1", line("GET / HTTP/ 1.1"), 400),
        refused(21, "http/1.1", line("GET / http/1.1"), 400),
        refused(21, "HTTP/2.0", line("GET / HTTP/2.0"), 505),
        refused(22, "HTTP/1.2", line("GET / HTTP/1.2"), 505),
    ]
}

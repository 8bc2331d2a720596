//! Other protocols, streams that end too early, and requests that come in byte by byte.

use crate::requests::{
    Delivery, HELLO_CHUNKED, NEXT, Request, cut_short, get_with, post_chunked, post_with, table,
};

pub fn requests() -> Vec<Request> {
    [protocols(), heads_cut_short(), byte_by_byte()].concat()
}

fn protocols() -> Vec<Request> {
    table(
        "stranger",
        &[
            (
                "HTTP/2",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
                "505",
            ),
            (
                "TLS",
                "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\u{3}\r\n\r\n",
                "400",
            ),
            (
                "old TLS",
                "\u{80}\u{2e}\u{1}\0\u{2}\0\u{15}\0\0\0\u{10}\r\n\r\n",
                "400",
            ),
            ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400"),
            ("SMTP", "EHLO localhost\r\n\r\n", "400"),
            ("Redis", "*1\r\n$4\r\nPING\r\n\r\n", "400"),
            ("Memcached", "stats\r\n\r\n", "400"),
            (
                "RTSP",
                "OPTIONS rtsp://localhost/a RTSP/1.0\r\nCSeq: 1\r\n\r\n",
                "400",
            ),
            ("SIP", "OPTIONS sip:a@localhost SIP/2.0\r\n\r\n", "400"),
            (
                "ICAP",
                "OPTIONS icap://localhost/a ICAP/1.0\r\nHost: localhost\r\n\r\n",
                "400",
            ),
            (
                "response",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "400",
            ),
            (
                "proxy header",
                &format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n{NEXT}"),
                "400",
            ),
            (
                "binary proxy header",
                &format!("\r\n\r\n\0\r\nQUIT\n!\u{11}\0\0{NEXT}"),
                "400",
            ),
            ("zeros", &format!("{}\r\n\r\n", "\0".repeat(64)), "400"),
            (
                "high bytes",
                &format!("{}\r\n\r\n", "\u{fe}\u{ff}".repeat(32)),
                "400",
            ),
            (
                "JSON",
                "{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1}\r\n\r\n",
                "501",
            ),
        ],
        str::to_owned,
    )
}

fn heads_cut_short() -> Vec<Request> {
    cut_short(
        "head cut short",
        &[
            ("before the first byte", "", "closed"),
            ("behind a letter", "G", "400 closed"),
            ("behind the method", "GET ", "400 closed"),
            ("in the target", "GET /desc", "400 closed"),
            ("in the version", "GET /describe HTTP/1.", "400 closed"),
            (
                "behind the request line",
                "GET /describe HTTP/1.1\r\n",
                "400 closed",
            ),
            (
                "in a field",
                "GET /describe HTTP/1.1\r\nHost: local",
                "400 closed",
            ),
            (
                "before the empty line",
                "GET /describe HTTP/1.1\r\nHost: localhost\r\n",
                "400 closed",
            ),
            (
                "in the empty line",
                "GET /describe HTTP/1.1\r\nHost: localhost\r\n\r",
                "400 closed",
            ),
            (
                "behind a whole request",
                &format!("{NEXT}GET /desc"),
                "200 400 closed",
            ),
            (
                "bare CR for all line ends",
                "GET /describe HTTP/1.1\rHost: localhost\r\r",
                "400 closed",
            ),
        ],
    )
}

fn byte_by_byte() -> Vec<Request> {
    let rows = [
        ("GET", get_with("X: a\r\n"), "200"),
        ("POST", post_with("Content-Length: 5\r\n", "hello"), "200"),
        (
            "chunked",
            post_chunked("5;a=\"b\"\r\nhello\r\n0\r\nX: a\r\n\r\n"),
            "200",
        ),
        (
            "two requests",
            post_chunked(HELLO_CHUNKED) + NEXT,
            "200 200",
        ),
        ("bare LF", get_with("X: a\n"), "400"),
        (
            "bad chunk size",
            post_chunked("5 \r\nhello\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "length and coding",
            post_with(
                "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n",
                HELLO_CHUNKED,
            ),
            "400",
        ),
    ];
    let rows = rows
        .each_ref()
        .map(|(variant, bytes, verdict)| (*variant, bytes.as_str(), *verdict));
    table("byte by byte", &rows, str::to_owned)
        .into_iter()
        .map(|request| request.delivered(Delivery::ByteByByte))
        .collect()
}

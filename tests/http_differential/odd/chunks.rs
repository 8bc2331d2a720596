//! Chunked bodies: sizes, data, extensions, trailers.

use crate::requests::{NEXT, Request, cut_short, post_chunked, table};

pub fn requests() -> Vec<Request> {
    [
        sizes(),
        last_sizes(),
        size_line_ends(),
        data(),
        extensions(),
        long_extensions(),
        trailers(),
        forbidden_trailers(),
        too_short(),
    ]
    .concat()
}

fn sizes() -> Vec<Request> {
    let hundred_digits = format!("{}5", "0".repeat(99));
    table(
        "chunk size",
        &[
            ("none", "", "400"),
            ("plus", "+5", "400"),
            ("minus", "-5", "400"),
            ("SP before", " 5", "400"),
            ("TAB before", "\t5", "400"),
            ("SP behind", "5 ", "400"),
            ("TAB behind", "5\t", "400"),
            ("SP behind, extension", "5 ;a=b", "400"),
            ("0x", "0x5", "400"),
            ("h behind", "5h", "400"),
            ("underscore", "0_5", "400"),
            ("comma", "5,5", "400"),
            ("fraction", "5.0", "400"),
            ("quotes", "\"5\"", "400"),
            ("no digit", "g", "400"),
            ("NUL behind", "5\0", "400"),
            ("obs-text", "\u{b5}", "400"),
            ("17 digits of 5", "00000000000000005", "400"),
            ("2 to the 64, and 5", "10000000000000005", "400"),
            ("17 digits of F", "FFFFFFFFFFFFFFFFF", "400"),
            ("a hundred digits", &hundred_digits, "400"),
            ("SP alone", " ", "400"),
            ("semicolon alone", ";", "400"),
            ("extension alone", ";a=b", "400"),
        ],
        |size| post_chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n{NEXT}")),
    )
}

fn last_sizes() -> Vec<Request> {
    table(
        "last chunk",
        &[
            ("none", "", "400"),
            ("plus", "+0", "400"),
            ("minus", "-0", "400"),
            ("0x", "0x0", "400"),
            ("SP before", " 0", "400"),
            ("SP behind", "0 ", "400"),
            ("semicolon behind", "0;", "400"),
            ("17 zeros", "00000000000000000", "400"),
        ],
        |size| post_chunked(&format!("5\r\nhello\r\n{size}\r\n\r\n{NEXT}")),
    )
}

fn size_line_ends() -> Vec<Request> {
    table(
        "chunk line end",
        &[
            ("bare LF behind the size", "5\nhello\r\n0\r\n\r\n", "400"),
            (
                "bare LF behind the last size",
                "5\r\nhello\r\n0\n\r\n",
                "400",
            ),
            ("bare LF as the empty line", "5\r\nhello\r\n0\r\n\n", "400"),
            ("bare LF everywhere", "5\nhello\n0\n\n", "400"),
            ("bare LF behind the data", "5\r\nhello\n0\r\n\r\n", "400"),
            ("bare CR behind the size", "5\rhello\r\n0\r\n\r\n", "400"),
            ("bare CR behind the data", "5\r\nhello\r0\r\n\r\n", "400"),
            (
                "CR CR LF behind the size",
                "5\r\r\nhello\r\n0\r\n\r\n",
                "400",
            ),
            (
                "CR CR LF behind the data",
                "5\r\nhello\r\r\n0\r\n\r\n",
                "400",
            ),
            ("CR and X behind the size", "5\rXhello\r\n0\r\n\r\n", "400"),
            ("XX behind the data", "5\r\nhelloXX0\r\n\r\n", "400"),
        ],
        |body| post_chunked(body) + NEXT,
    )
}

fn data() -> Vec<Request> {
    table(
        "chunk data",
        &[
            ("longer by one", "5\r\nhello!\r\n0\r\n\r\n", "400"),
            ("longer by two", "5\r\nhello!!\r\n0\r\n\r\n", "400"),
            ("longer by a chunk", "3\r\nhello\r\n0\r\n\r\n", "400"),
            ("shorter by one", "6\r\nhello\r\n0\r\n\r\n", "400"),
            ("shorter by two", "7\r\nhello\r\n0\r\n\r\n", "400"),
            ("no line end", "5\r\nhello0\r\n\r\n", "400"),
            ("empty line behind", "5\r\nhello\r\n\r\n0\r\n\r\n", "400"),
            ("none at all", "hello\r\n\r\n", "400"),
        ],
        |body| post_chunked(body) + NEXT,
    )
}

fn extensions() -> Vec<Request> {
    table(
        "extension",
        &[
            ("empty", ";", "400"),
            ("empty before another", ";;a=b", "400"),
            ("empty behind another", ";a=b;", "400"),
            ("no name", ";=b", "400"),
            ("no value", ";a=", "400"),
            ("bracket", ";[", "400"),
            ("comma", ";a,b", "400"),
            ("two values", ";a=b=c", "400"),
            ("SP behind the semicolon", "; a=b", "400"),
            ("SP before the equals sign", ";a =b", "400"),
            ("SP behind the equals sign", ";a= b", "400"),
            ("SP behind", ";a=b ", "400"),
            ("TAB before the semicolon", "\t;a=b", "400"),
            ("open quotes", ";a=\"b", "400"),
            ("letter behind quotes", ";a=\"b\"c", "400"),
            ("quotes inside a value", ";a=b\"c\"", "400"),
            ("quotes for a name", ";\"a\"=b", "400"),
            ("backslash at the end", ";a=\"b\\", "400"),
            ("NUL", ";a=\0", "400"),
            ("NUL in quotes", ";a=\"\0\"", "400"),
            ("0x01", ";\u{1}=b", "400"),
            ("DEL", ";a=\u{7f}", "400"),
            ("obs-text", ";a=\u{e9}", "400"),
            ("obs-text in quotes", ";a=\"\u{e9}\"", "200 200"),
            ("bare LF", ";a\nb", "400"),
            ("bare LF at the end", ";a=b\n", "400"),
            ("bare CR", ";a=\rb", "400"),
            ("line end in quotes", ";a=\"\r\n\"", "400"),
            ("escaped line end", ";a=\"\\\r\n\"", "400"),
            ("semicolon in quotes", ";a=\"b;c\"", "200 200"),
            ("tab in quotes", ";a=\"\t\"", "200 200"),
        ],
        |extension| post_chunked(&format!("5{extension}\r\nhello\r\n0\r\n\r\n{NEXT}")),
    )
}

fn long_extensions() -> Vec<Request> {
    let long = |count: usize| format!("5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(count));
    let many =
        |count: usize| format!("1;a={}\r\nx\r\n", "b".repeat(1_000)).repeat(count) + "0\r\n\r\n";
    table(
        "long extension",
        &[
            ("64 KiB", &long(64 * 1024), "400"),
            ("20,000 bytes", &long(20_000), "400"),
            ("100 of 1,000 bytes", &many(100), "400"),
        ],
        post_chunked,
    )
}

fn trailers() -> Vec<Request> {
    let long = format!("X: {}\r\n", "v".repeat(100_000));
    let many: String = (0..1_000).map(|at| format!("X-{at}: a\r\n")).collect();
    table(
        "trailer",
        &[
            ("bare LF behind", "X: a\n", "400"),
            ("bare LF inside", "X: a\nY: b\r\n", "400"),
            ("bare CR inside", "X: a\rb\r\n", "400"),
            ("no colon", "X\r\n", "400"),
            ("no name", ": a\r\n", "400"),
            ("SP before the colon", "X : a\r\n", "400"),
            ("SP before the name", " X: a\r\n", "400"),
            ("folded", "X: a\r\n b\r\n", "400"),
            ("name with brackets", "[X]: a\r\n", "400"),
            ("NUL", "X: a\0b\r\n", "400"),
            ("0x01", "X: \u{1}\r\n", "400"),
            ("DEL", "X: \u{7f}\r\n", "400"),
            ("obs-text", "X: \u{e9}\r\n", "200 200"),
            (
                "next request",
                "GET /describe HTTP/1.1\r\nHost: localhost\r\n",
                "400",
            ),
            ("of 100,000 bytes", &long, "431"),
            ("a thousand", &many, "431"),
        ],
        |lines| post_chunked(&format!("5\r\nhello\r\n0\r\n{lines}\r\n{NEXT}")),
    )
}

fn forbidden_trailers() -> Vec<Request> {
    table(
        "trailer that may be none",
        &[
            ("length", "Content-Length: 5", "400"),
            ("coding", "Transfer-Encoding: chunked", "400"),
            ("host", "Host: other", "400"),
            ("authorization", "Authorization: Basic YTpi", "400"),
            ("cookie", "Cookie: a=b", "400"),
            ("content type", "Content-Type: text/html", "400"),
            ("content coding", "Content-Encoding: gzip", "400"),
            ("content range", "Content-Range: bytes 0-4/5", "400"),
            ("connection", "Connection: close", "400"),
            ("expectation", "Expect: 100-continue", "400"),
            ("trailer", "Trailer: X", "400"),
            ("te", "TE: trailers", "400"),
            ("range", "Range: bytes=0-0", "400"),
            ("condition", "If-Match: *", "400"),
            ("upgrade", "Upgrade: websocket", "400"),
            ("lower case", "content-length: 5", "400"),
        ],
        |line| post_chunked(&format!("5\r\nhello\r\n0\r\n{line}\r\n\r\n")),
    )
}

fn too_short() -> Vec<Request> {
    cut_short(
        "chunks cut short",
        &[
            ("before the first", &post_chunked(""), "400"),
            ("in a size", &post_chunked("5"), "400"),
            ("behind a size", &post_chunked("5\r\n"), "400"),
            ("in the data", &post_chunked("5\r\nhel"), "400"),
            ("behind the data", &post_chunked("5\r\nhello"), "400"),
            (
                "before the last chunk",
                &post_chunked("5\r\nhello\r\n"),
                "400",
            ),
            ("in the last chunk", &post_chunked("5\r\nhello\r\n0"), "400"),
            (
                "before the empty line",
                &post_chunked("5\r\nhello\r\n0\r\n"),
                "400",
            ),
            (
                "in the empty line",
                &post_chunked("5\r\nhello\r\n0\r\n\r"),
                "400",
            ),
            (
                "in a trailer",
                &post_chunked("5\r\nhello\r\n0\r\nX: a\r\n"),
                "400",
            ),
            (
                "size of 64 bits",
                &post_chunked("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
                "413",
            ),
            (
                "size of 63 bits",
                &post_chunked("7fffffffffffffff\r\nhello\r\n0\r\n\r\n"),
                "413",
            ),
        ],
    )
}

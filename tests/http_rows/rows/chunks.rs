//! Rows 52 to 63: chunks, their extensions, trailers.

use super::{Row, broken, chunked, row, taken};

const HELLO_SEEN: &str = "POST /a \"hello\"";

pub fn rows() -> Vec<Row> {
    [sizes(), data(), extensions(), trailers()]
        .into_iter()
        .flatten()
        .collect()
}

fn sizes() -> Vec<Row> {
    let of_size = |size: &str| chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n"));
    let mut rows = vec![
        broken(52, "an empty size line", of_size("")),
        broken(52, "an empty last size line", chunked("5\r\nhello\r\n\r\n\r\n")),
    ];
    for size in ["+5", "-5", " 5", "\t5", "0x5", "5_0", "5h", "g"] {
        rows.push(broken(53, "no hexadecimal number", of_size(size)));
    }
    rows.extend([
        broken(54, "SP behind the size", of_size("5 ")),
        broken(54, "TAB behind the size", of_size("5\t")),
        broken(54, "SP between size and extension", of_size("5 ;a=b")),
        broken(54, "SP behind the last size", chunked("5\r\nhello\r\n0 \r\n\r\n")),
        broken(55, "17 digits that are 5", of_size("00000000000000005")),
        broken(55, "2^64 + 5", of_size("10000000000000005")),
        broken(55, "32 digits", of_size("ffffffffffffffffffffffffffffffff")),
        row(55, "2^64 - 1", of_size("ffffffffffffffff"), "413 closed", &["POST /a broken"]),
        broken(56, "size ended by CR", chunked("5\rhello\r\n0\r\n\r\n")),
        broken(56, "size ended by LF", chunked("5\nhello\r\n0\r\n\r\n")),
        broken(56, "last size ended by LF", chunked("5\r\nhello\r\n0\n\r\n")),
    ]);
    rows
}

fn data() -> Vec<Row> {
    let long = "0123456789".repeat(300);
    vec![
        broken(57, "data longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n")),
        broken(57, "data shorter than its size", chunked("5\r\nhell\r\n0\r\n\r\n")),
        broken(57, "no CRLF behind the data", chunked("5\r\nhello0\r\n\r\n")),
        broken(57, "LF behind the data", chunked("5\r\nhello\n0\r\n\r\n")),
        broken(57, "CR behind the data", chunked("5\r\nhello\r0\r\n\r\n")),
        // Long enough to be read past the server's buffer.
        broken(57, "long data longer than its size", chunked(&format!("bb8\r\n{long}!\r\n0\r\n\r\n"))),
        broken(57, "long data shorter than its size", chunked(&format!("bb9\r\n{long}\r\n0\r\n\r\n"))),
        taken(
            57,
            "long data as long as their sizes",
            chunked(&format!("bb8\r\n{long}\r\nbb8\r\n{long}\r\n0\r\n\r\n")),
            &format!("POST /a \"{long}{long}\""),
        ),
        broken(61, "no last chunk, then the end", chunked("5\r\nhello\r\n")).alone(),
        broken(61, "the end inside a chunk", chunked("5\r\nhel")).alone(),
        broken(61, "the end inside a size", chunked("5")).alone(),
        broken(61, "the end behind the last size", chunked("5\r\nhello\r\n0\r\n")).alone(),
        broken(61, "the end inside the last line", chunked("5\r\nhello\r\n0\r\n\r")).alone(),
        broken(61, "the end before any chunk", chunked("")).alone(),
    ]
}

fn extensions() -> Vec<Row> {
    let of_extension = |extension: &str| chunked(&format!("5;{extension}\r\nhello\r\n0\r\n\r\n"));
    let many = "1;abcdefgh=ijklmnop\r\nx\r\n".repeat(2_000);
    vec![
        broken(58, "nothing behind the semicolon", of_extension("")),
        broken(58, "a bracket as a name", of_extension("[")),
        broken(58, "LF in a name", of_extension("a\nb")),
        broken(58, "NUL in a name", of_extension("a\0b")),
        broken(58, "CR in a name", of_extension("a\rb")),
        broken(58, "CRLF in quotes", of_extension("a=\"b\r\nc\"")),
        broken(58, "LF in quotes", of_extension("a=\"b\nc\"")),
        broken(58, "quotes that do not end", of_extension("a=\"b")),
        broken(58, "no value behind the equals sign", of_extension("a=")),
        broken(59, "an extension of 64 KiB", of_extension(&"a".repeat(64 * 1024))),
        broken(59, "many extensions over many chunks", chunked(&format!("{many}0\r\n\r\n"))),
        taken(60, "name and value", of_extension("a=b"), HELLO_SEEN),
        taken(60, "a name", of_extension("a"), HELLO_SEEN),
        taken(60, "a value in quotes", of_extension("a=\"b \\\" ;c\""), HELLO_SEEN),
        taken(60, "two extensions", of_extension("a=b;c"), HELLO_SEEN),
        taken(60, "one at the last chunk", chunked("5\r\nhello\r\n0;a=b\r\n\r\n"), HELLO_SEEN),
        taken(
            60,
            "several chunks, sizes in both cases",
            chunked("5\r\nhello\r\nA\r\n0123456789\r\n00b\r\n ABCDEFGHI \r\n0\r\n\r\n"),
            "POST /a \"hello0123456789 ABCDEFGHI \"",
        ),
        taken(60, "no chunk but the last", chunked("0\r\n\r\n"), "POST /a \"\""),
    ]
}

fn trailers() -> Vec<Row> {
    let of_trailers = |lines: &str| chunked(&format!("5\r\nhello\r\n0\r\n{lines}\r\n"));
    let mut rows = Vec::new();
    for field in [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: b",
        "Authorization: Basic YTpi",
        "Content-Type: text/html",
    ] {
        rows.push(broken(62, "a trailer that is forbidden", of_trailers(&format!("{field}\r\n"))));
    }
    rows.extend([
        taken(
            62,
            "a trailer that is not",
            of_trailers("X: 1\r\n"),
            "POST /a \"hello\" trailer X of 1 bytes",
        ),
        broken(63, "LF behind a trailer", of_trailers("X: 1\n")),
        broken(63, "LF as the last line", chunked("5\r\nhello\r\n0\r\n\n")),
        broken(63, "CR in a trailer", of_trailers("X: 1\r2\r\n")),
        broken(63, "NUL in a trailer", of_trailers("X: \0\r\n")),
        broken(63, "a folded trailer", of_trailers("X: 1\r\n 2\r\n")),
        broken(63, "SP before the colon", of_trailers("X : 1\r\n")),
        broken(63, "no colon", of_trailers("X\r\n")),
        row(63, "too many trailers", of_trailers(&"X: 1\r\n".repeat(1_000)), "431 closed", &["POST /a broken"]),
        row(
            63,
            "a trailer too large",
            of_trailers(&format!("X: {}\r\n", "1".repeat(64 * 1024))),
            "431 closed",
            &["POST /a broken"],
        ),
    ]);
    rows
}

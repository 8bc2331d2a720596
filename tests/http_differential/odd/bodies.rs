//! `Content-Length`, `Transfer-Encoding` and what stands behind a body that only some see the end of.

use crate::requests::{
    Delivery, HELLO_CHUNKED, HOST, NEXT, Request, cut_short, get_with, post_with, table,
};

pub fn requests() -> Vec<Request> {
    [
        lengths(),
        length_fields(),
        codings(),
        coding_fields(),
        both(),
        smuggled(),
        behind_the_body(),
        too_long(),
        too_short(),
    ]
    .concat()
}

fn lengths() -> Vec<Request> {
    table(
        "length",
        &[
            ("plus", "+5", "400"),
            ("minus", "-5", "400"),
            ("minus zero", "-0", "400"),
            ("hexadecimal", "0x5", "400"),
            ("octal", "0o5", "400"),
            ("underscore", "1_0", "400"),
            ("space inside", "1 0", "400"),
            ("letters", "abc", "400"),
            ("letter behind", "5a", "400"),
            ("empty", "", "400"),
            ("blank", " \t", "400"),
            ("fraction", "5.0", "400"),
            ("exponent", "5e0", "400"),
            ("quotes", "\"5\"", "400"),
            ("comma behind", "5,", "400"),
            ("comma before", ",5", "400"),
            ("parameter", "5;a=b", "400"),
            ("NUL behind", "5\0", "400"),
            ("VT before", "\u{b}5", "400"),
            ("obs-text", "\u{b5}", "400"),
            ("2 to the 64", "18446744073709551616", "400"),
            ("2 to the 64, and 5", "18446744073709551621", "400"),
            ("10 to the 30", "1000000000000000000000000000000", "400"),
            ("leading zero", "05", "400"),
            ("leading zeros", "0000000005", "400"),
            ("octal by a zero", "0200", "400"),
            ("two zeros", "00", "400"),
            ("list of the same", "5, 5", "400"),
            ("list without a space", "5,5", "400"),
            ("list of three", "5, 5, 5", "400"),
            ("list that differs", "5, 6", "400"),
            ("two SP before", " 5", "400"),
            ("TAB before", "\t5", "400"),
            ("SP behind", "5 ", "400"),
            ("TAB behind", "5\t", "400"),
        ],
        |length| {
            // As many bytes as whoever takes it for a number waits for.
            let body = length
                .parse()
                .map_or("hello".to_owned(), |count| "x".repeat(count));
            post_with(&format!("Content-Length: {length}\r\n"), &body)
        },
    )
}

fn length_fields() -> Vec<Request> {
    let mut requests = table(
        "length fields",
        &[
            (
                "two that differ",
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "400",
            ),
            (
                "two, the shorter last",
                "Content-Length: 6\r\nContent-Length: 5\r\n",
                "400",
            ),
            (
                "two of the same",
                "Content-Length: 5\r\nContent-Length: 5\r\n",
                "400",
            ),
            (
                "two apart",
                "Content-Length: 5\r\nX: a\r\ncontent-length: 5\r\n",
                "400",
            ),
            (
                "two, one empty",
                "Content-Length: 5\r\nContent-Length:\r\n",
                "400",
            ),
            (
                "two, one with a zero",
                "Content-Length: 5\r\nContent-Length: 05\r\n",
                "400",
            ),
            ("SP before the colon", "Content-Length : 5\r\n", "400"),
            ("folded", "Content-Length:\r\n 5\r\n", "400"),
            (
                "and an underscored coding",
                "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n",
                "200",
            ),
        ],
        |lines| post_with(lines, "hello"),
    );
    requests.extend(table(
        "underscored length",
        &[("ignored", "Content_Length: 5\r\n", "200")],
        get_with,
    ));
    requests
}

fn codings() -> Vec<Request> {
    table(
        "coding",
        &[
            ("xchunked", "xchunked", "501"),
            ("chunkedx", "chunkedx", "501"),
            ("chunke", "chunke", "501"),
            ("identity", "identity", "501"),
            ("gzip", "gzip", "501"),
            ("gzip, chunked", "gzip, chunked", "501"),
            ("identity, chunked", "identity, chunked", "501"),
            ("chunked, gzip", "chunked, gzip", "400"),
            ("chunked, identity", "chunked, identity", "400"),
            ("chunked, chunked", "chunked, chunked", "400"),
            ("chunked chunked", "chunked chunked", "501"),
            ("parameter", "chunked;p=v", "400"),
            ("weight", "chunked; q=1", "400"),
            ("comma before", ", chunked", "400"),
            ("comma right before", ",chunked", "400"),
            ("comma behind", "chunked,", "400"),
            ("comma and SP behind", "chunked, ", "400"),
            ("capital letter", "Chunked", "400"),
            ("capital letters", "CHUNKED", "400"),
            ("mixed letters", "chuNKed", "400"),
            ("two SP before", " chunked", "400"),
            ("TAB before", "\tchunked", "400"),
            ("SP behind", "chunked ", "400"),
            ("TAB behind", "chunked\t", "400"),
            ("empty", "", "400"),
            ("comma alone", ",", "400"),
            ("quotes", "\"chunked\"", "501"),
            ("NUL behind", "chunked\0", "400"),
            ("VT before", "\u{b}chunked", "400"),
            ("FF before", "\u{c}chunked", "400"),
            ("CR before", "\rchunked", "400"),
            ("obs-text behind", "chunked\u{ff}", "400"),
            ("no-break space before", "\u{a0}chunked", "400"),
        ],
        |coding| post_with(&format!("Transfer-Encoding: {coding}\r\n"), HELLO_CHUNKED),
    )
}

fn coding_fields() -> Vec<Request> {
    let mut requests = table(
        "coding fields",
        &[
            (
                "two of the same",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "400",
            ),
            (
                "gzip and chunked",
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                "501",
            ),
            (
                "chunked and gzip",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
                "400",
            ),
            (
                "chunked and identity",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                "400",
            ),
            (
                "chunked and nothing",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
                "400",
            ),
            (
                "SP before the colon",
                "Transfer-Encoding : chunked\r\n",
                "400",
            ),
            (
                "TAB before the colon",
                "Transfer-Encoding\t: chunked\r\n",
                "400",
            ),
            (
                "NUL behind the name",
                "Transfer-Encoding\0: chunked\r\n",
                "400",
            ),
            (
                "SP before the name",
                "X: a\r\n Transfer-Encoding: chunked\r\n",
                "400",
            ),
            ("folded", "Transfer-Encoding:\r\n chunked\r\n", "400"),
            (
                "folded behind",
                "Transfer-Encoding: chunked\r\n , gzip\r\n",
                "400",
            ),
        ],
        |lines| post_with(lines, HELLO_CHUNKED),
    );
    requests.extend(table(
        "coding in 1.0",
        &[
            ("chunked", "Transfer-Encoding: chunked\r\n", "400"),
            (
                "chunked to be kept",
                "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n",
                "400",
            ),
            (
                "and a length",
                "Transfer-Encoding: chunked\r\nContent-Length: 15\r\n",
                "400",
            ),
        ],
        |lines| format!("POST /describe HTTP/1.0\r\n{HOST}{lines}\r\n{HELLO_CHUNKED}"),
    ));
    requests
}

fn both() -> Vec<Request> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    table(
        "length and coding",
        &[
            (
                "length first",
                &format!("Content-Length: 15\r\n{chunked}"),
                "400",
            ),
            (
                "coding first",
                &format!("{chunked}Content-Length: 15\r\n"),
                "400",
            ),
            (
                "length of nothing",
                &format!("Content-Length: 0\r\n{chunked}"),
                "400",
            ),
            (
                "length too long",
                &format!("{chunked}Content-Length: 100\r\n"),
                "400",
            ),
            (
                "bad length",
                &format!("{chunked}Content-Length: abc\r\n"),
                "400",
            ),
            (
                "length and identity",
                "Content-Length: 15\r\nTransfer-Encoding: identity\r\n",
                "501",
            ),
            (
                "length and empty coding",
                "Content-Length: 15\r\nTransfer-Encoding:\r\n",
                "400",
            ),
            (
                "to be closed",
                &format!("Connection: close\r\nContent-Length: 15\r\n{chunked}"),
                "400",
            ),
        ],
        |lines| post_with(lines, HELLO_CHUNKED),
    )
}

/// The length covers a whole second request, which a reader that goes by the chunks finds behind them; or the other way round.
fn smuggled() -> Vec<Request> {
    let mut requests = Vec::new();
    for method in ["GET", "HEAD"] {
        let hidden = format!("{method} /describe?hidden HTTP/1.1\r\n{HOST}\r\n");
        let by_length = format!("0\r\n\r\n{hidden}");
        let long = by_length.len();
        let by_chunks = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
        let length = format!("Content-Length: {long}\r\n");
        let chunked = "Transfer-Encoding: chunked\r\n";
        let variants = [
            (
                "length wins",
                format!("{length}{chunked}"),
                &by_length,
                "400",
            ),
            (
                "coding wins",
                format!("{chunked}Content-Length: 4\r\n"),
                &by_chunks,
                "400",
            ),
            (
                "plus before the length",
                format!("Content-Length: +{long}\r\n{chunked}"),
                &by_length,
                "400",
            ),
            (
                "letter behind the length",
                format!("Content-Length: {long}a\r\n{chunked}"),
                &by_length,
                "400",
            ),
            (
                "minus before the length",
                format!("Content-Length: -{long}\r\n"),
                &by_length,
                "400",
            ),
            (
                "folded coding",
                format!("{length}Transfer-Encoding:\r\n chunked\r\n"),
                &by_length,
                "400",
            ),
            (
                "blank behind the coding",
                format!("{length}Transfer-Encoding: chunked \r\n"),
                &by_length,
                "400",
            ),
            (
                "comma before the coding",
                format!("{length}Transfer-Encoding: ,chunked\r\n"),
                &by_length,
                "400",
            ),
            (
                "capital letter",
                format!("{length}Transfer-Encoding: Chunked\r\n"),
                &by_length,
                "400",
            ),
            (
                "VT before the coding",
                format!("{length}Transfer-Encoding: \u{b}chunked\r\n"),
                &by_length,
                "400",
            ),
            (
                "unknown coding",
                format!("{length}Transfer-Encoding: xchunked\r\n"),
                &by_length,
                "501",
            ),
            (
                "identity behind",
                format!("{length}{chunked}Transfer-Encoding: identity\r\n"),
                &by_length,
                "400",
            ),
            (
                "bare LF before the coding",
                format!("Content-Length: {long}\n{chunked}"),
                &by_length,
                "400",
            ),
            (
                "bare CR before the coding",
                format!("{length}X: a\r{chunked}"),
                &by_length,
                "400",
            ),
            (
                "blank before the colon",
                format!("{length}Transfer-Encoding : chunked\r\n"),
                &by_length,
                "400",
            ),
            (
                "two lengths",
                format!("Content-Length: 5\r\n{length}"),
                &by_length,
                "400",
            ),
        ];
        for (variant, lines, body, verdict) in &variants {
            let name = format!("{method}, {variant}");
            let request = |lines: &str| post_with(lines, body);
            let made = table("smuggled", &[(&name, lines, verdict)], request);
            // A server that goes by the chunks gives the second answer to what is hidden behind them.
            let is_seen = method == "HEAD" && *body == &by_length;
            requests.extend(made.into_iter().map(|made| match is_seen {
                true => made.heads([1]),
                false => made,
            }));
        }
    }
    requests
}

fn behind_the_body() -> Vec<Request> {
    table(
        "behind the body",
        &[
            (
                "junk behind none",
                &post_with("Content-Length: 0\r\n", "junk\r\n\r\n"),
                "200 400",
            ),
            (
                "zeros behind none",
                &post_with("Content-Length: 0\r\n", "\0\0\0\0\r\n\r\n"),
                "200 400",
            ),
            (
                "body without a length",
                &post_with("", "hello\r\n\r\n"),
                "200 400",
            ),
            (
                "body of GET without a length",
                &get_with("").replace("\r\n\r\n", "\r\n\r\nhello\r\n\r\n"),
                "200 400",
            ),
            (
                "one byte too many",
                &post_with("Content-Length: 5\r\n", "hello!\r\n\r\n"),
                "200 400",
            ),
            (
                "CRLF behind the last chunk",
                &post_with(
                    "Transfer-Encoding: chunked\r\n",
                    &format!("{HELLO_CHUNKED}\r\n{NEXT}"),
                ),
                "200 400",
            ),
            (
                "chunk behind the last",
                &post_with(
                    "Transfer-Encoding: chunked\r\n",
                    &format!("{HELLO_CHUNKED}{HELLO_CHUNKED}"),
                ),
                "200 400",
            ),
        ],
        str::to_owned,
    )
}

/// Two million bytes, where kapok takes 1 MiB unless the handler allows more.
fn too_long() -> Vec<Request> {
    let length = "Content-Length: 2000000\r\n";
    let known = "x".repeat(2_000_000);
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1_000));
    let chunked = chunk.repeat(2_000) + "0\r\n\r\n";
    let sent_at_once = table(
        "body too long",
        &[
            ("known", &post_with(length, &known), "413"),
            (
                "chunked",
                &post_with("Transfer-Encoding: chunked\r\n", &chunked),
                "413",
            ),
        ],
        str::to_owned,
    );
    let awaiting = table(
        "body too long",
        &[("known and awaited", "Expect: 100-continue\r\n", "413")],
        |line| post_with(&format!("{line}{length}"), &known),
    );
    let on_continue = |request: Request| request.delivered(Delivery::OnContinue);
    let awaiting = awaiting.into_iter().map(on_continue);
    sent_at_once.into_iter().chain(awaiting).collect()
}

fn too_short() -> Vec<Request> {
    let known =
        |length: &str, body: &str| post_with(&format!("Content-Length: {length}\r\n"), body);
    let old = format!("POST /describe HTTP/1.0\r\n{HOST}Content-Length: 10\r\n\r\nhello");
    cut_short(
        "body cut short",
        &[
            ("half of it", &known("10", "hello"), "400"),
            ("all but a byte", &known("6", "hello"), "400"),
            ("all of it", &known("5", ""), "400"),
            ("huge length", &known("999999999", ""), "413"),
            (
                "length of 2 to the 63",
                &known("9223372036854775808", "hello"),
                "413",
            ),
            (
                "largest length of 64 bits",
                &known("18446744073709551615", "hello"),
                "413",
            ),
            ("in 1.0", &old, "400"),
            (
                "behind a whole request",
                &format!("{NEXT}{}", known("10", "hello")),
                "200 400",
            ),
        ],
    )
}

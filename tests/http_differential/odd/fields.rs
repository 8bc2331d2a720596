//! Header fields: their form, `Host`, and what concerns the connection.

use crate::requests::{Delivery, HELLO_CHUNKED, HOST, NEXT, Request, get_with, post_with, table};

pub fn requests() -> Vec<Request> {
    [
        hosts(),
        forms(),
        names(),
        values(),
        expectations(),
        connections(),
        behind_the_last(),
        upgrades(),
        ranges(),
    ]
    .concat()
}

fn hosts() -> Vec<Request> {
    let one_line = |host: &str| format!("GET /describe HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut requests = table(
        "host",
        &[
            ("empty", "", "400"),
            ("blank", " \t ", "400"),
            ("list", "a, b", "400"),
            ("list without a space", "localhost,localhost", "400"),
            ("user", "user@localhost", "400"),
            ("user and password", "a:b@localhost", "400"),
            ("path", "localhost/", "400"),
            ("query", "localhost?a", "400"),
            ("fragment", "localhost#a", "400"),
            ("scheme", "http://localhost", "400"),
            ("letters as the port", "localhost:abc", "400"),
            ("port above 65535", "localhost:65536", "400"),
            ("sign before the port", "localhost:+80", "400"),
            ("two ports", "localhost:80:80", "400"),
            ("port alone", ":80", "400"),
            ("space inside", "local host", "400"),
            ("tab inside", "local\thost", "400"),
            ("backslash", "local\\host", "400"),
            ("less and greater", "<localhost>", "400"),
            ("quotes", "\"localhost\"", "400"),
            ("obs-text", "localh\u{f6}st", "400"),
            ("NUL", "localhost\0", "400"),
            ("open bracket", "[::1", "400"),
            ("letters in brackets", "[zz]", "400"),
            ("letters behind brackets", "[::1]a", "400"),
            ("address of IPv4 in brackets", "[127.0.0.1]", "400"),
            ("percent-encoded", "local%68ost", "400"),
            ("marks", "local!$&'()*+;=host", "200"),
        ],
        one_line,
    );
    requests.extend(table(
        "host fields",
        &[
            ("none", "HTTP/1.1\r\n", "400"),
            (
                "none but others",
                "HTTP/1.1\r\nX: a\r\nAccept: */*\r\n",
                "400",
            ),
            (
                "two that differ",
                "HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
                "400",
            ),
            (
                "two of the same",
                "HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
                "400",
            ),
            (
                "two in two cases",
                "HTTP/1.1\r\nhost: localhost\r\nX: a\r\nHOST: b\r\n",
                "400",
            ),
            (
                "two, one empty",
                "HTTP/1.1\r\nHost: localhost\r\nHost:\r\n",
                "400",
            ),
            ("two in 1.0", "HTTP/1.0\r\nHost: a\r\nHost: b\r\n", "400"),
            ("bad one in 1.0", "HTTP/1.0\r\nHost: a b\r\n", "400"),
            (
                "underscore before",
                "HTTP/1.1\r\n_Host: localhost\r\n",
                "400",
            ),
        ],
        |rest| format!("GET /describe {rest}\r\n"),
    ));
    requests.extend(table(
        "host and absolute-form",
        &[
            ("no host", "HTTP/1.1\r\n", "400"),
            (
                "two of the same",
                "HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
                "400",
            ),
            ("no host in 1.0", "HTTP/1.0\r\n", "200 closed"),
            ("other host in 1.0", "HTTP/1.0\r\nHost: other\r\n", "400"),
        ],
        |rest| format!("GET http://localhost/describe {rest}\r\n"),
    ));
    requests
}

fn forms() -> Vec<Request> {
    table(
        "field",
        &[
            ("folded with SP", "X: a\r\n b\r\n", "400"),
            ("folded with TAB", "X: a\r\n\tb\r\n", "400"),
            ("folded with nothing", "X: a\r\n \r\n", "400"),
            ("folded before the value", "X:\r\n a\r\n", "400"),
            ("SP before the colon", "X : a\r\n", "400"),
            ("TAB before the colon", "X\t: a\r\n", "400"),
            ("no colon", "X\r\n", "400"),
            ("no colon but a value", "X a\r\n", "400"),
            ("equals sign", "X=a\r\n", "400"),
            ("no name", ": a\r\n", "400"),
            ("colon alone", ":\r\n", "400"),
            ("blank for a name", " : a\r\n", "400"),
        ],
        get_with,
    )
    .into_iter()
    .chain(table(
        "first field",
        &[
            ("SP before", " Host: localhost\r\n", "400"),
            ("TAB before", "\tHost: localhost\r\n", "400"),
            ("line of a space before", " \r\nHost: localhost\r\n", "400"),
            ("folded host", "Host:\r\n localhost\r\n", "400"),
            ("host continued", "Host: local\r\n host\r\n", "400"),
            ("SP before the colon", "Host : localhost\r\n", "400"),
        ],
        |lines| format!("GET /describe HTTP/1.1\r\n{lines}\r\n"),
    ))
    .collect()
}

fn names() -> Vec<Request> {
    table(
        "name with",
        &[
            ("brackets", "[x]", "400"),
            ("parenthesis", "x(", "400"),
            ("comma", "x,y", "400"),
            ("semicolon", "x;y", "400"),
            ("quote", "\"x\"", "400"),
            ("slash", "x/y", "400"),
            ("backslash", "x\\y", "400"),
            ("at sign", "x@y", "400"),
            ("equals sign", "x=y", "400"),
            ("question mark", "x?", "400"),
            ("brace", "x{", "400"),
            ("SP", "x y", "400"),
            ("UTF-8", "x\u{c3}\u{a9}", "400"),
            ("0x80", "\u{80}", "400"),
            ("NUL", "x\0y", "400"),
            ("0x01", "x\u{1}", "400"),
            ("bare CR", "x\ry", "400"),
            ("DEL", "x\u{7f}", "400"),
        ],
        |name| get_with(&format!("{name}: a\r\n")),
    )
}

fn values() -> Vec<Request> {
    table(
        "value with",
        &[
            ("NUL", "a\0b", "400"),
            ("NUL at the end", "a\0", "400"),
            ("0x01", "a\u{1}b", "400"),
            ("backspace", "a\u{8}b", "400"),
            ("VT", "a\u{b}b", "400"),
            ("FF", "a\u{c}b", "400"),
            ("FF at the start", "\u{c}a", "400"),
            ("ESC", "a\u{1b}[0m", "400"),
            ("0x1f", "a\u{1f}b", "400"),
            ("DEL", "a\u{7f}b", "400"),
            ("bare CR", "a\rb", "400"),
            ("bare CR at the start", "\ra", "400"),
            ("bare CR before a field", "a\rX-Other: b", "400"),
            ("bare LF", "a\nb", "400"),
            ("bare LF before a field", "a\nX-Other: b", "400"),
            ("obs-text", "a\u{80}\u{ff}b", "200"),
            ("UTF-8", "\u{c3}\u{a9}", "200"),
            ("broken UTF-8", "\u{c3}\u{28}\u{a0}", "200"),
            ("0x85 at the end", "a\u{85}", "200"),
        ],
        |value| get_with(&format!("X: {value}\r\n")),
    )
}

fn expectations() -> Vec<Request> {
    let mut requests = table(
        "expect",
        &[
            ("unknown", "Expect: 200-ok\r\n", "417"),
            ("empty", "Expect:\r\n", "417"),
            ("parameter", "Expect: 100-continue;a=b\r\n", "417"),
            (
                "unknown behind it",
                "Expect: 100-continue, other\r\n",
                "417",
            ),
            (
                "unknown before it",
                "Expect: other, 100-continue\r\n",
                "417",
            ),
            (
                "two fields",
                "Expect: 100-continue\r\nExpect: other\r\n",
                "417",
            ),
            ("begins like it", "Expect: 100-continued\r\n", "417"),
            (
                "same twice",
                "Expect: 100-continue\r\nExpect: 100-continue\r\n",
                "100 200",
            ),
            ("body is there", "Expect: 100-continue\r\n", "100 200"),
        ],
        |lines| post_with(&format!("{lines}Content-Length: 5\r\n"), "hello"),
    );
    let chunked = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    requests.extend(table(
        "expect",
        &[
            ("chunks are there", HELLO_CHUNKED, "100 200"),
            (
                "chunks and a request are there",
                &format!("{HELLO_CHUNKED}{NEXT}"),
                "100 200 200",
            ),
        ],
        |body| post_with(chunked, body),
    ));
    let awaiting = table(
        "expect and await",
        &[
            (
                "known among unknown",
                "Expect: 100-continue, other\r\nContent-Length: 5\r\n",
                "417",
            ),
            ("unknown", "Expect: other\r\nContent-Length: 5\r\n", "417"),
            (
                "same twice",
                "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n",
                "100 200",
            ),
            (
                "two lengths",
                "Expect: 100-continue\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
                "400",
            ),
        ],
        |lines| post_with(lines, "hello"),
    );
    let on_continue = |request: Request| request.delivered(Delivery::OnContinue);
    requests.extend(awaiting.into_iter().map(on_continue));
    requests.extend(table(
        "expect without a body",
        &[
            ("known", "HTTP/1.1\r\nExpect: 100-continue\r\n", "200"),
            ("unknown", "HTTP/1.1\r\nExpect: other\r\n", "417"),
            (
                "unknown in 1.0",
                "HTTP/1.0\r\nExpect: other\r\n",
                "200 closed",
            ),
        ],
        |rest| format!("GET /describe {rest}{HOST}\r\n"),
    ));
    requests
}

fn connections() -> Vec<Request> {
    table(
        "connection",
        &[
            ("empty", "HTTP/1.1\r\nConnection:\r\n", "200"),
            ("unknown option", "HTTP/1.1\r\nConnection: clos\r\n", "200"),
            (
                "close in quotes",
                "HTTP/1.1\r\nConnection: \"close\"\r\n",
                "200",
            ),
            (
                "close and keep-alive",
                "HTTP/1.1\r\nConnection: close, keep-alive\r\n",
                "200 closed",
            ),
            (
                "keep-alive and close",
                "HTTP/1.1\r\nConnection: keep-alive, close\r\n",
                "200 closed",
            ),
            (
                "both in two fields",
                "HTTP/1.1\r\nConnection: keep-alive\r\nConnection: close\r\n",
                "200 closed",
            ),
            (
                "close twice",
                "HTTP/1.1\r\nConnection: close\r\nConnection: close\r\n",
                "200 closed",
            ),
            (
                "close among commas",
                "HTTP/1.1\r\nConnection: ,close,\r\n",
                "200 closed",
            ),
            (
                "close behind a tab",
                "HTTP/1.1\r\nConnection:\tclose\t\r\n",
                "200 closed",
            ),
            ("names Host", "HTTP/1.1\r\nConnection: Host\r\n", "200"),
            (
                "of a proxy",
                "HTTP/1.1\r\nProxy-Connection: close\r\n",
                "200",
            ),
            (
                "1.0 with both",
                "HTTP/1.0\r\nConnection: keep-alive, close\r\n",
                "200 closed",
            ),
            (
                "1.0 of a proxy",
                "HTTP/1.0\r\nProxy-Connection: keep-alive\r\n",
                "200 closed",
            ),
            (
                "1.0 with Keep-Alive alone",
                "HTTP/1.0\r\nKeep-Alive: 300\r\n",
                "200 closed",
            ),
        ],
        |rest| format!("GET /describe {rest}{HOST}\r\n"),
    )
}

/// Whoever says that a request is the last one and sends more is not listened to any further.
fn behind_the_last() -> Vec<Request> {
    table(
        "behind the last",
        &[
            ("GET", &get_with("Connection: close\r\n"), "200 closed"),
            (
                "POST",
                &post_with("Connection: close\r\nContent-Length: 5\r\n", "hello"),
                "200 closed",
            ),
            (
                "1.0",
                &format!("GET /describe HTTP/1.0\r\n{HOST}\r\n"),
                "200 closed",
            ),
            (
                "1.0 and not the last",
                &format!("GET /describe HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n"),
                "200 200",
            ),
        ],
        |first| format!("{first}{NEXT}"),
    )
}

fn upgrades() -> Vec<Request> {
    let key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let web_socket = |start: &str, version: u32| {
        format!(
            "{start}{HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n{key}Sec-WebSocket-Version: {version}\r\n\r\n"
        )
    };
    let (get, old) = ("GET /describe HTTP/1.1\r\n", "GET /describe HTTP/1.0\r\n");
    let post = post_with(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n",
        "hello",
    );
    table(
        "upgrade",
        &[
            ("to a web socket", &web_socket(get, 13), "200"),
            ("to an old web socket", &web_socket(get, 12), "200"),
            ("in 1.0", &web_socket(old, 13), "200 closed"),
            ("by POST", &post, "200"),
            (
                "without the option",
                &get_with("Upgrade: websocket\r\n"),
                "200",
            ),
            (
                "without the field",
                &get_with("Connection: Upgrade\r\n"),
                "200",
            ),
            (
                "to h2c",
                &get_with(
                    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
                ),
                "200",
            ),
            (
                "to TLS",
                &get_with("Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n"),
                "200",
            ),
            (
                "empty",
                &get_with("Upgrade:\r\nConnection: Upgrade\r\n"),
                "200",
            ),
        ],
        str::to_owned,
    )
}

fn ranges() -> Vec<Request> {
    let many: String = (0..1_000).map(|at| format!(",{at}-")).collect();
    let many = format!("Range: bytes=0-{many}\r\n");
    table(
        "range",
        &[
            ("thousand that overlap", &get_with(&many), "200"),
            ("bad", &get_with("Range: bytes=5-1\r\n"), "200"),
            ("no range", &get_with("Range: all\r\n"), "200"),
            (
                "of a POST",
                &post_with("Range: bytes=0-0\r\nContent-Length: 5\r\n", "hello"),
                "200",
            ),
        ],
        str::to_owned,
    )
}

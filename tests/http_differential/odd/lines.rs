//! Line ends, the request line, and what stands before it.

use crate::requests::{HOST, NEXT, Request, get_target, get_with, post_with, table};

pub fn requests() -> Vec<Request> {
    [
        line_ends(),
        before_the_request(),
        delimiters(),
        targets(),
        absolute_targets(),
        methods(),
        versions(),
        limits(),
    ]
    .concat()
}

fn line_ends() -> Vec<Request> {
    table(
        "line end",
        &[
            (
                "bare LF behind the request line",
                "GET /describe HTTP/1.1\nHost: localhost\r\n\r\n",
                "400",
            ),
            (
                "bare LF behind a field",
                "GET /describe HTTP/1.1\r\nHost: localhost\nX: a\r\n\r\n",
                "400",
            ),
            (
                "bare LF behind the last field",
                "GET /describe HTTP/1.1\r\nHost: localhost\n\r\n",
                "400",
            ),
            (
                "bare LF as the empty line",
                "GET /describe HTTP/1.1\r\nHost: localhost\r\n\n",
                "400",
            ),
            (
                "bare LF everywhere",
                "GET /describe HTTP/1.1\nHost: localhost\n\n",
                "400",
            ),
            (
                "LF CR",
                "GET /describe HTTP/1.1\n\rHost: localhost\n\r\n\r",
                "400",
            ),
            (
                "bare CR behind the request line",
                "GET /describe HTTP/1.1\rHost: localhost\r\n\r\n",
                "400",
            ),
            (
                "bare CR behind a field",
                "GET /describe HTTP/1.1\r\nHost: localhost\rX: a\r\n\r\n",
                "400",
            ),
            (
                "CR CR LF behind the request line",
                "GET /describe HTTP/1.1\r\r\nHost: localhost\r\n\r\n",
                "400",
            ),
            (
                "CR CR LF behind a field",
                "GET /describe HTTP/1.1\r\nHost: localhost\r\r\n\r\n",
                "400",
            ),
            (
                "CR CR LF as the empty line",
                "GET /describe HTTP/1.1\r\nHost: localhost\r\n\r\r\n\r\n",
                "400",
            ),
        ],
        str::to_owned,
    )
}

fn before_the_request() -> Vec<Request> {
    let one = |start: &str| format!("{start}{NEXT}");
    let two = |between: &str| {
        format!(
            "{}{between}{NEXT}",
            post_with("Content-Length: 5\r\n", "hello")
        )
    };
    let before = table(
        "before the request",
        &[
            ("CRLF", "\r\n", "400"),
            ("two CRLF", "\r\n\r\n", "400"),
            ("LF", "\n", "400"),
            ("CR", "\r", "400"),
            ("SP", " ", "400"),
            ("TAB", "\t", "400"),
            ("NUL", "\0", "400"),
            ("line of a space", " \r\n", "400"),
            ("byte order mark", "\u{ef}\u{bb}\u{bf}", "400"),
        ],
        one,
    );
    let between = table(
        "between two requests",
        &[
            ("CRLF", "\r\n", "200 400"),
            ("two CRLF", "\r\n\r\n", "200 400"),
            ("LF", "\n", "200 400"),
            ("SP", " ", "200 400"),
            ("word", "a", "200 501"),
        ],
        two,
    );
    [before, between].concat()
}

fn delimiters() -> Vec<Request> {
    table(
        "request line",
        &[
            ("two SP before the target", "GET  /describe HTTP/1.1", "400"),
            ("two SP behind the target", "GET /describe  HTTP/1.1", "400"),
            ("TAB before the target", "GET\t/describe HTTP/1.1", "400"),
            ("TAB behind the target", "GET /describe\tHTTP/1.1", "400"),
            ("VT before the target", "GET\u{b}/describe HTTP/1.1", "400"),
            ("FF behind the target", "GET /describe\u{c}HTTP/1.1", "400"),
            ("no-break space", "GET\u{a0}/describe HTTP/1.1", "400"),
            ("SP behind the version", "GET /describe HTTP/1.1 ", "400"),
            ("TAB behind the version", "GET /describe HTTP/1.1\t", "400"),
            ("no target", "GET HTTP/1.1", "400"),
            ("no target, two SP", "GET  HTTP/1.1", "400"),
            ("no method", "/describe HTTP/1.1", "400"),
            ("nothing but a method", "GET", "400"),
            ("SP in the target", "GET /desc ribe HTTP/1.1", "400"),
            ("SP in the query", "GET /describe?a b HTTP/1.1", "400"),
            ("HTTP/0.9", "GET /describe", "400"),
            ("HTTP/0.9 with SP", "GET /describe ", "400"),
        ],
        |line| format!("{line}\r\n{HOST}\r\n"),
    )
}

fn targets() -> Vec<Request> {
    table(
        "target",
        &[
            ("fragment", "/describe#a", "400"),
            ("empty fragment", "/describe#", "400"),
            ("fragment in the query", "/describe?a#b", "400"),
            ("NUL", "/describe\0", "400"),
            ("0x01", "/describe\u{1}", "400"),
            ("0x1f in the query", "/describe?\u{1f}", "400"),
            ("DEL", "/describe\u{7f}", "400"),
            ("bare CR", "/desc\rribe", "400"),
            ("UTF-8", "/describe\u{c3}\u{a9}", "400"),
            ("UTF-8 in the query", "/describe?\u{c3}\u{a9}", "400"),
            ("overlong slash", "/describe\u{c0}\u{af}", "400"),
            ("0xff", "/describe\u{ff}", "400"),
            ("backslash", "/describe\\", "400"),
            ("backslashes to go up", "/..\\..\\describe", "400"),
            ("quote", "/describe\"", "400"),
            ("quote in the query", "/describe?\"", "400"),
            ("less", "/describe<a", "400"),
            ("greater in the query", "/describe?a>", "400"),
            ("backtick", "/describe`", "400"),
            ("brackets in the query", "/describe?a[]=b", "200"),
            ("braces in the query", "/describe?{a|b}^c", "200"),
            ("backslash in the query", "/describe?\\", "200"),
            ("encoded NUL", "/describe?%00", "200"),
            ("encoded line end", "/describe?%0d%0aX:a", "200"),
            ("percent alone", "/describe?%", "200"),
            ("percent before letters", "/describe?%zz", "200"),
            ("asterisk", "*", "400"),
            ("no slash", "describe", "400"),
            ("question mark alone", "?describe", "400"),
            ("host and port", "localhost:80", "400"),
            ("dot", "./describe", "400"),
        ],
        get_target,
    )
}

fn absolute_targets() -> Vec<Request> {
    let mut requests = table(
        "absolute",
        &[
            ("other host", "http://other/describe", "400"),
            ("other port", "http://localhost:81/describe", "400"),
            ("port not in Host", "http://localhost:80/describe", "400"),
            ("longer host", "http://localhost.example/describe", "400"),
            ("user", "http://user@localhost/describe", "400"),
            ("user and password", "http://a:b@localhost/describe", "400"),
            ("ftp", "ftp://localhost/describe", "400"),
            ("file", "file:///describe", "400"),
            ("no host", "http:///describe", "400"),
            ("one slash", "http:/describe", "400"),
            ("nothing behind the slashes", "http://", "400"),
            ("no slashes", "http:describe", "400"),
            ("no scheme", "://localhost/describe", "400"),
            ("backslashes", "http:\\\\localhost/describe", "400"),
            ("bad port", "http://localhost:a/describe", "400"),
            ("fragment", "http://localhost/describe#a", "400"),
            ("https", "https://localhost/describe", "200"),
            ("upper case", "HTTP://LOCALHOST/describe", "200"),
        ],
        get_target,
    );
    requests.extend(table(
        "asterisk",
        &[
            ("OPTIONS", "OPTIONS *", "200"),
            ("POST", "POST *", "400"),
            ("OPTIONS with two", "OPTIONS **", "400"),
            ("OPTIONS with a slash", "OPTIONS */", "400"),
        ],
        |start| format!("{start} HTTP/1.1\r\n{HOST}\r\n"),
    ));
    requests
}

fn methods() -> Vec<Request> {
    let long = "M".repeat(33);
    table(
        "method",
        &[
            ("lower case", "get /describe", "501"),
            ("mixed case", "Get /describe", "501"),
            ("unknown", "FOO /describe", "501"),
            ("HEAD and more", "HEADS /describe", "501"),
            ("of WebDAV", "PROPFIND /describe", "501"),
            ("of UPnP", "M-SEARCH /describe", "501"),
            ("all marks", "!#$%&'*+-.^_`|~ /describe", "501"),
            ("33 letters", &format!("{long} /describe"), "501"),
            ("brackets", "G[T /describe", "400"),
            ("comma", "GE,T /describe", "400"),
            ("quotes", "\"GET\" /describe", "400"),
            ("colon", "GET: /describe", "400"),
            ("slash", "GE/T /describe", "400"),
            ("NUL", "G\0T /describe", "400"),
            ("obs-text", "G\u{c9}T /describe", "400"),
            ("CONNECT to a host", "CONNECT localhost:80", "501"),
            ("CONNECT without a port", "CONNECT localhost", "400"),
            ("CONNECT to a path", "CONNECT /describe", "400"),
        ],
        |start| format!("{start} HTTP/1.1\r\n{HOST}\r\n"),
    )
}

fn versions() -> Vec<Request> {
    table(
        "version",
        &[
            ("HTTP/1", "HTTP/1", "400"),
            ("HTTP/1.", "HTTP/1.", "400"),
            ("HTTP/.1", "HTTP/.1", "400"),
            ("HTTP/01.01", "HTTP/01.01", "400"),
            ("HTTP/1.01", "HTTP/1.01", "400"),
            ("HTTP/1.10", "HTTP/1.10", "400"),
            ("HTTP/1.1.1", "HTTP/1.1.1", "400"),
            ("HTTP/1,1", "HTTP/1,1", "400"),
            ("HTTP/ 1.1", "HTTP/ 1.1", "400"),
            ("HTTP /1.1", "HTTP /1.1", "400"),
            ("HTTP/+1.1", "HTTP/+1.1", "400"),
            ("http/1.1", "http/1.1", "400"),
            ("Http/1.1", "Http/1.1", "400"),
            ("HTTPS/1.1", "HTTPS/1.1", "400"),
            ("ICE/1.0", "ICE/1.0", "400"),
            ("HTTP/1.1x", "HTTP/1.1x", "400"),
            ("HTTP/1.1 and NUL", "HTTP/1.1\0", "400"),
            ("HTTP/0.9", "HTTP/0.9", "505"),
            ("HTTP/1.2", "HTTP/1.2", "505"),
            ("HTTP/1.9", "HTTP/1.9", "505"),
            ("HTTP/2.0", "HTTP/2.0", "505"),
            ("HTTP/2", "HTTP/2", "400"),
            ("HTTP/3.0", "HTTP/3.0", "505"),
            ("HTTP/9.9", "HTTP/9.9", "505"),
        ],
        |version| format!("GET /describe {version}\r\n{HOST}\r\n"),
    )
}

fn limits() -> Vec<Request> {
    let target = |count: usize| format!("/describe?{}", "a".repeat(count - "/describe?".len()));
    let lines = |count: usize| {
        (0..count)
            .map(|at| format!("X-{at}: a\r\n"))
            .collect::<String>()
    };
    let long_method = format!("{} /describe HTTP/1.1\r\n{HOST}\r\n", "M".repeat(100_000));
    let long_name = get_with(&format!("{}: a\r\n", "n".repeat(100_000)));
    let value = |count: usize| get_with(&format!("X: {}\r\n", "v".repeat(count)));
    table(
        "limit",
        &[
            ("target of 8,000 bytes", &get_target(&target(8_000)), "200"),
            ("target of 8,193 bytes", &get_target(&target(8_193)), "414"),
            (
                "target of 12,000 bytes",
                &get_target(&target(12_000)),
                "414",
            ),
            (
                "target of 100,000 bytes",
                &get_target(&target(100_000)),
                "414",
            ),
            ("method of 100,000 bytes", &long_method, "501"),
            ("name of 100,000 bytes", &long_name, "431"),
            ("value of 12,000 bytes", &value(12_000), "200"),
            ("value of 20,000 bytes", &value(20_000), "431"),
            ("value of 100,000 bytes", &value(100_000), "431"),
            ("100 fields", &get_with(&lines(99)), "200"),
            ("101 fields", &get_with(&lines(100)), "431"),
            ("200 fields", &get_with(&lines(199)), "431"),
            ("10,000 fields", &get_with(&lines(9_999)), "431"),
        ],
        str::to_owned,
    )
}

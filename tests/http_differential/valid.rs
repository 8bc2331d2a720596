//! Valid requests: what every server must take, and take alike.

use crate::requests::{
    Delivery, HELLO_CHUNKED, HOST, NEXT, Request, get_with, post_chunked, post_with,
};

/// All valid requests.
pub fn valid_requests() -> Vec<Request> {
    [
        methods_and_targets(),
        methods_and_bodies(),
        hosts(),
        header_lines(),
        chunk_shapes(),
        body_sizes(),
        versions_and_connections(),
        expectations(),
        pipelines(),
        long_pipelines(),
    ]
    .concat()
}

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE",
];

/// Marks a request by its method: the answer to HEAD has no body.
fn marked(request: Request, method: &str) -> Request {
    request.heads((method == "HEAD").then_some(0))
}

fn methods_and_targets() -> Vec<Request> {
    let targets = [
        ("path", "/describe"),
        ("query", "/describe?a=b&c"),
        ("empty query", "/describe?"),
        ("percent-encoded", "/describe?a=%C3%A9&b=%2f%00%0d%0a"),
        ("all marks", "/describe?-._~!$&'()*+,;=:@/?"),
        ("absolute-form", "http://localhost/describe?a"),
    ];
    let mut requests = Vec::new();
    for method in METHODS {
        for (variant, target) in targets {
            let bytes = format!("{method} {target} HTTP/1.1\r\n{HOST}\r\n");
            requests.push(marked(
                Request::new("target", &format!("{method} {variant}"), bytes),
                method,
            ));
        }
    }
    requests
}

fn methods_and_bodies() -> Vec<Request> {
    let bodies = [
        ("length 0", "Content-Length: 0\r\n", ""),
        ("length 5", "Content-Length: 5\r\n", "hello"),
        ("length without a space", "content-length:5\r\n", "hello"),
        ("one chunk", "Transfer-Encoding: chunked\r\n", HELLO_CHUNKED),
        ("no chunk", "transfer-encoding:chunked\r\n", "0\r\n\r\n"),
    ];
    let mut requests = Vec::new();
    for method in METHODS {
        for (variant, lines, body) in bodies {
            // The second request shows that the first one's body was taken whole.
            let bytes = format!("{method} /describe HTTP/1.1\r\n{HOST}{lines}\r\n{body}{NEXT}");
            requests.push(marked(
                Request::new("body", &format!("{method} {variant}"), bytes),
                method,
            ));
        }
    }
    requests
}

fn hosts() -> Vec<Request> {
    let hosts = [
        "localhost:8080",
        "localhost:",
        "127.0.0.1",
        "127.0.0.1:65535",
        "[::1]",
        "[2001:db8::7]:80",
        "LOCALHOST",
        "a.b-c_d~e.example",
        "example.com.",
        "xn--bcher-kva.example",
    ];
    let with_host = |host| {
        let bytes = format!("GET /describe HTTP/1.1\r\nhOsT:{host} \t\r\n\r\n");
        Request::new("host", host, bytes)
    };
    hosts.map(with_host).to_vec()
}

fn header_lines() -> Vec<Request> {
    let long_value = format!("X-Long: {}\r\n", "v".repeat(8_000));
    let long_name = format!("X-{}: v\r\n", "n".repeat(200));
    let many: String = (0..90).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let lines = [
        ("accept", "Accept: */*\r\nAccept-Encoding: gzip, br\r\n"),
        ("lower-case name", "accept: */*\r\n"),
        ("upper-case name", "ACCEPT: */*\r\n"),
        ("all name bytes", "!#$%&'*+-.^_`|~09azAZ: v\r\n"),
        ("name of one byte", "a: b\r\n"),
        ("long name", &long_name),
        ("long value", &long_value),
        ("ninety fields", &many),
        ("empty value", "X:\r\n"),
        ("blank value", "X: \t \r\n"),
        ("blanks around the value", "X: \t a b \t\r\n"),
        ("tab in the value", "X: a\tb\r\n"),
        ("colons in the value", "X: a:b::c\r\n"),
        ("quotes in the value", "X: \"a, \\\" b\", 'c'\r\n"),
        ("all visible bytes", VISIBLE),
        ("same name twice", "X: a\r\nX: b\r\nx: c\r\n"),
        ("cookies", "Cookie: a=b; c=d\r\nCookie: e=f\r\n"),
        ("unknown type", "Content-Type: no/such\r\n"),
        ("te", "TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n"),
        (
            "upgrade to nothing known",
            "Upgrade: a/1, b\r\nConnection: upgrade\r\n",
        ),
        (
            "conditions",
            "If-None-Match: *\r\nIf-Modified-Since: yesterday\r\n",
        ),
        ("forwarding", "Via: 1.0 a\r\nX-Forwarded-For: 127.0.0.1\r\n"),
        ("trailer announced", "Trailer: X-Sum\r\n"),
        (
            "underscores for dashes",
            "Content_Type: a\r\nContent_Encoding: b\r\n",
        ),
    ];
    let mut requests = Vec::new();
    for (variant, lines) in lines {
        requests.push(Request::new(
            "header",
            &format!("GET {variant}"),
            get_with(lines),
        ));
        let lines = format!("{lines}Content-Length: 5\r\n");
        requests.push(Request::new(
            "header",
            &format!("POST {variant}"),
            post_with(&lines, "hello"),
        ));
    }
    requests
}

fn chunk_shapes() -> Vec<Request> {
    let long = format!("ffff\r\n{}\r\n0\r\n\r\n", "x".repeat(0xffff));
    let tiny = "1\r\nx\r\n".repeat(1_000) + "0\r\n\r\n";
    let shapes = [
        ("two", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        ("thousand of a byte", &tiny),
        ("long", &long),
        ("upper-case size", "A\r\n0123456789\r\n0\r\n\r\n"),
        ("lower-case size", "a\r\n0123456789\r\n0\r\n\r\n"),
        ("zeros before the size", "0005\r\nhello\r\n0\r\n\r\n"),
        ("zeros as the last size", "5\r\nhello\r\n000\r\n\r\n"),
        ("line end as data", "2\r\n\r\n\r\n0\r\n\r\n"),
        ("end as data", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        ("extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
        ("extension without value", "5;a\r\nhello\r\n0\r\n\r\n"),
        ("quoted extension", "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n"),
        (
            "extension with quotes",
            "5;a=\"\\\"\"\r\nhello\r\n0\r\n\r\n",
        ),
        ("extensions", "5;a=b;c;d=\"e\"\r\nhello\r\n0\r\n\r\n"),
        ("extension of the last", "5\r\nhello\r\n0;a=b\r\n\r\n"),
        ("trailer", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        (
            "trailers",
            "0\r\nX-Sum: 1\r\nx-sum: 2\r\nX-Other:\t3 \r\n\r\n",
        ),
    ];
    let pipelined =
        |(variant, body): (&str, &str)| Request::new("chunks", variant, post_chunked(body) + NEXT);
    let byte_by_byte = |(variant, body): (&str, &str)| {
        Request::new(
            "chunks",
            &format!("{variant}, byte by byte"),
            post_chunked(body),
        )
        .delivered(Delivery::ByteByByte)
    };
    let short = shapes.iter().filter(|(_, body)| body.len() < 1_000);
    let pieces: Vec<_> = short.copied().map(byte_by_byte).collect();
    [shapes.map(pipelined).to_vec(), pieces].concat()
}

fn body_sizes() -> Vec<Request> {
    let mut requests = Vec::new();
    for size in [1, 100, 4_096, 65_535, 65_536, 300_000] {
        // Every byte occurs.
        let body: Vec<u8> = (0..size)
            .map(|at| (at % 251) as u8 ^ (at / 251) as u8)
            .collect();
        let head = post_with(&format!("Content-Length: {size}\r\n"), "");
        let known = [head.as_bytes(), &body].concat();
        requests.push(Request::new("size", &format!("{size} known"), known));
        let mut chunked = post_chunked("").into_bytes();
        for piece in body.chunks(10_000) {
            chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
            chunked.extend(piece);
            chunked.extend(b"\r\n");
        }
        chunked.extend(b"0\r\n\r\n");
        requests.push(Request::new("size", &format!("{size} chunked"), chunked));
    }
    requests
}

fn versions_and_connections() -> Vec<Request> {
    let versions = [
        ("1.1", format!("HTTP/1.1\r\n{HOST}")),
        ("1.0", format!("HTTP/1.0\r\n{HOST}")),
        ("1.0 without host", "HTTP/1.0\r\n".to_owned()),
    ];
    let connections = [
        ("nothing said", ""),
        ("close", "Connection: close\r\n"),
        ("Close", "connection:Close\r\n"),
        ("keep-alive", "Connection: keep-alive\r\n"),
        ("Keep-Alive", "connection:Keep-Alive\r\nKeep-Alive: 300\r\n"),
        ("close among others", "Connection: x, close\r\n"),
    ];
    let bodies = [("GET", "", ""), ("POST", "Content-Length: 5\r\n", "hello")];
    let mut requests = Vec::new();
    for (version, start) in &versions {
        for (connection, line) in connections {
            for (method, lines, body) in bodies {
                let name = format!("{version} {method} {connection}");
                let bytes = format!("{method} /describe?c {start}{line}{lines}\r\n{body}");
                requests.push(Request::new("connection", &name, bytes));
            }
        }
    }
    requests
}

/// The body is sent when the answer 100 asks for it. Where it is there already the answer may be left out, so that is odd.
fn expectations() -> Vec<Request> {
    let variants = [
        (
            "known length",
            "Expect: 100-continue\r\nContent-Length: 5\r\n",
            "hello",
        ),
        (
            "upper case",
            "EXPECT: 100-CONTINUE\r\nContent-Length: 5\r\n",
            "hello",
        ),
        (
            "no space",
            "Content-Length: 5\r\nexpect:100-continue\r\n",
            "hello",
        ),
        (
            "chunked",
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
            HELLO_CHUNKED,
        ),
        (
            "last request",
            "Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n",
            "hello",
        ),
    ];
    let awaiting = variants.map(|(variant, lines, body)| {
        Request::new("expect", variant, post_with(lines, body)).delivered(Delivery::OnContinue)
    });
    let old = "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    let old = format!("POST /describe HTTP/1.0\r\n{HOST}{old}");
    [awaiting.to_vec(), vec![Request::new("expect", "1.0", old)]].concat()
}

/// Pairs of a few requests, one behind the other.
fn pipelines() -> Vec<Request> {
    let requests = [
        ("GET", get_with("")),
        ("HEAD", format!("HEAD /describe HTTP/1.1\r\n{HOST}\r\n")),
        ("known", post_with("Content-Length: 5\r\n", "hello")),
        ("chunked", post_chunked(HELLO_CHUNKED)),
        ("trailer", post_chunked("0\r\nX-Sum: 1\r\n\r\n")),
        ("close", get_with("Connection: close\r\n")),
    ];
    let mut pairs = Vec::new();
    for (first, first_bytes) in &requests {
        // What stands behind the last request is odd.
        if *first == "close" {
            continue;
        }
        for (second, second_bytes) in &requests {
            let heads = [first, second].into_iter().enumerate();
            let heads = heads.filter(|(_, name)| **name == "HEAD").map(|(at, _)| at);
            let bytes = format!("{first_bytes}{second_bytes}");
            let name = format!("{first} and {second}");
            pairs.push(Request::new("pipeline", &name, bytes).heads(heads));
        }
    }
    pairs
}

fn long_pipelines() -> Vec<Request> {
    let posts: String = (0..100)
        .map(|at| post_with("Content-Length: 2\r\n", &format!("{at:02}")))
        .collect();
    let chunks = post_chunked(HELLO_CHUNKED).repeat(100);
    let gets = NEXT.repeat(100);
    let mut requests = Vec::new();
    for (variant, bytes) in [("GET", gets), ("known", posts), ("chunked", chunks)] {
        let whole = Request::new("hundred", variant, bytes);
        let mut ended = whole.clone().delivered(Delivery::CutShort);
        ended.name += ", then the end";
        requests.extend([whole, ended]);
    }
    requests
}

const VISIBLE: &str = "X: !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\r\n";

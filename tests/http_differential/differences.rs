//! Where node or Go thinks otherwise than kapok, and why kapok does not follow.
//!
//! A request stands here if the status classes differ, or whether the connection lives on. Each must really differ, so the list
//! tells what the references do as well. Node is told apart by its version: Debian 12 has 18, with an older parser than 20. Go
//! is 1.19.

use std::collections::HashSet;

use crate::servers::{GO, NODE};

/// Requests of which a reference thinks otherwise for the same reason.
///
/// They are named as in `Request::name`, but with several variants behind one group: `group: variant | variant`.
struct Difference {
    why: &'static str,
    /// Of every version of node.
    node: &'static [&'static str],
    node_18: &'static [&'static str],
    node_20: &'static [&'static str],
    go: &'static [&'static str],
}

const NOBODY: Difference = Difference {
    why: "",
    node: &[],
    node_18: &[],
    node_20: &[],
    go: &[],
};

/// Returns server and request of each difference that is expected with this version of node.
pub fn listed_differences(node_version: u32) -> HashSet<(&'static str, String)> {
    let mut listed = HashSet::new();
    for difference in DIFFERENCES {
        assert!(difference.why.ends_with('.'), "an argument is a sentence");
        let node_of_its_age = match node_version {
            ..20 => difference.node_18,
            _ => difference.node_20,
        };
        let servers = [
            (NODE, difference.node),
            (NODE, node_of_its_age),
            (GO, difference.go),
        ];
        for (server, lines) in servers {
            for name in lines.iter().flat_map(|line| names(line)) {
                assert!(
                    listed.insert((server, name.clone())),
                    "{name} is listed twice"
                );
            }
        }
    }
    listed
}

/// Returns the names that a line of the list stands for.
fn names(line: &'static str) -> impl Iterator<Item = String> {
    let (group, variants) = line.split_once(": ").expect("a line begins with a group");
    variants
        .split(" | ")
        .map(move |variant| format!("{group}: {variant}"))
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "RFC 9112 section 2.2 lets a recipient take a bare LF for a line end. Whoever does sees \
              other lines than whoever does not, so kapok refuses.",
        node_18: &["line end: bare LF as the empty line | bare LF behind the request line"],
        go: &[
            "byte by byte: bare LF",
            "line end: bare LF as the empty line | bare LF behind a field | bare LF behind the last field",
            "line end: bare LF behind the request line | bare LF everywhere",
            "smuggled: GET, bare LF before the coding | HEAD, bare LF before the coding",
            "value with: bare LF before a field",
        ],
        ..NOBODY
    },
    Difference {
        why: "Lines of a chunked body end with CRLF; RFC 9112 section 7.1 makes no exception.",
        node_18: &[
            "chunk line end: CR and X behind the size | XX behind the data | bare LF as the empty line",
        ],
        go: &[
            "chunk line end: CR CR LF behind the size | bare LF as the empty line | bare LF behind the last size",
            "chunk line end: bare LF behind the size",
            "trailer: bare LF behind | bare LF inside",
        ],
        ..NOBODY
    },
    Difference {
        why: "A CR belongs before a LF and nowhere else.",
        node_18: &["line end: CR CR LF as the empty line"],
        ..NOBODY
    },
    Difference {
        why: "RFC 9112 section 2.2 would have an empty line before a request ignored. No client of \
              today sends one, and what was hidden behind another body may begin with one.",
        node: &[
            "before the request: CR | CRLF | LF | two CRLF",
            "behind the body: CRLF behind the last chunk",
            "between two requests: CRLF | LF | two CRLF",
        ],
        go: &[
            "behind the body: CRLF behind the last chunk",
            "between two requests: CRLF | LF | two CRLF",
        ],
        ..NOBODY
    },
    Difference {
        why: "Node finds what is wrong behind the request before its handler has answered, and says \
              400 in place of the answer.",
        node: &[
            "behind the body: body of GET without a length | body without a length | chunk behind the last",
            "behind the body: junk behind none | one byte too many | zeros behind none",
            "between two requests: SP | word",
        ],
        ..NOBODY
    },
    Difference {
        why: "Behind a request that is the last one kapok and Go ignore what comes. Node 20 refuses \
              it, and the answer is lost.",
        node_20: &["behind the last: 1.0 | GET | POST"],
        ..NOBODY
    },
    Difference {
        why: "The parts of a request line are divided by one SP: RFC 9112 section 3.",
        node: &["request line: two SP before the target | two SP behind the target"],
        node_18: &["request line: FF behind the target | TAB behind the target"],
        ..NOBODY
    },
    Difference {
        why: "HTTP/0.9 is no longer asked for: RFC 9112 appendix C.1. Node still answers it.",
        node: &["request line: HTTP/0.9", "version: HTTP/0.9"],
        ..NOBODY
    },
    Difference {
        why: "A method that kapok does not know is answered 501, as RFC 9110 section 9.1 says; node \
              says 400. Go leaves all methods to the handler.",
        node: &[
            "limit: method of 100,000 bytes",
            "method: 33 letters | HEAD and more | all marks | lower case | mixed case | unknown",
        ],
        go: &[
            "between two requests: word",
            "limit: method of 100,000 bytes",
            "method: 33 letters | HEAD and more | all marks | lower case | mixed case | of UPnP | of WebDAV",
            "method: unknown",
        ],
        ..NOBODY
    },
    Difference {
        why: "What has no SP among its first 32 bytes is no known method, whatever else it is.",
        node: &["stranger: JSON"],
        go: &["stranger: JSON"],
        ..NOBODY
    },
    Difference {
        why: "Node knows more methods. Kapok has extension methods off until they are asked for.",
        node: &["method: of UPnP | of WebDAV"],
        ..NOBODY
    },
    Difference {
        why: "Kapok is no proxy and says so. Node closes the connection without a word, Go asks the \
              handler.",
        node: &["method: CONNECT to a host | CONNECT to a path | CONNECT without a port"],
        go: &["method: CONNECT to a host | CONNECT to a path | CONNECT without a port"],
        ..NOBODY
    },
    Difference {
        why: "A version of two digits that is not spoken here is 505. RFC 9110 section 2.5 would have \
              1.2 and later taken for 1.1, as Go does, but none was ever published. Node says 400, and \
              takes HTTP/2.0.",
        node: &["version: HTTP/1.2 | HTTP/1.9 | HTTP/2.0 | HTTP/3.0 | HTTP/9.9"],
        go: &["version: HTTP/1.2 | HTTP/1.9"],
        ..NOBODY
    },
    Difference {
        why: "The first line of HTTP/2 is a request of version 2.0: 505. Node says 400, Go hands it to \
              the handler.",
        node: &["stranger: HTTP/2"],
        go: &["stranger: HTTP/2"],
        ..NOBODY
    },
    Difference {
        why: "Node takes RTSP/1.0 for a version.",
        node: &["stranger: RTSP"],
        ..NOBODY
    },
    Difference {
        why: "RFC 3986 has no such byte in a URI, and programs make different things of it. RFC 9112 \
              section 3.2 says 400.",
        node: &[
            "target: backslash | backslashes to go up | backtick | greater in the query | less | quote",
            "target: quote in the query",
        ],
        node_18: &["target: 0xff | UTF-8 | UTF-8 in the query | overlong slash"],
        go: &[
            "target: 0xff | UTF-8 | UTF-8 in the query | backslash | backslashes to go up | backtick",
            "target: greater in the query | less | overlong slash | quote | quote in the query",
        ],
        ..NOBODY
    },
    Difference {
        why: "A request target has no fragment: RFC 9112 section 3.2.",
        node: &[
            "absolute: fragment",
            "target: empty fragment | fragment | fragment in the query",
        ],
        go: &[
            "absolute: fragment",
            "target: empty fragment | fragment | fragment in the query",
        ],
        ..NOBODY
    },
    Difference {
        why: "The asterisk alone, and with OPTIONS alone, is a target: RFC 9112 section 3.2.4. A host \
              and a port are one for CONNECT alone: section 3.2.3.",
        node: &[
            "asterisk: OPTIONS with a slash | OPTIONS with two | POST",
            "target: asterisk",
        ],
        go: &["asterisk: POST", "target: asterisk | host and port"],
        ..NOBODY
    },
    Difference {
        why: "RFC 9112 section 3.2.2 lets the target win over a Host field that differs. Who looks at \
              the field alone takes the request for another's.",
        node: &[
            "absolute: longer host | other host | other port | port not in Host",
            "host and absolute-form: other host in 1.0",
        ],
        go: &[
            "absolute: longer host | other host | other port | port not in Host",
            "host and absolute-form: other host in 1.0",
        ],
        ..NOBODY
    },
    Difference {
        why: "A user in the authority makes a host look like another: RFC 9110 section 4.2.4.",
        node: &["absolute: user | user and password"],
        go: &["absolute: user | user and password"],
        ..NOBODY
    },
    Difference {
        why: "An http URI has a host and this server serves no other scheme: RFC 9110 sections 4.2.1 \
              and 7.4.",
        node: &["absolute: bad port | file | ftp | no host | nothing behind the slashes"],
        go: &[
            "absolute: backslashes | file | ftp | no host | no slashes | nothing behind the slashes | one slash",
        ],
        ..NOBODY
    },
    Difference {
        why: "More than one Host field is 400, also in HTTP/1.0: RFC 9112 section 3.2. Node takes the \
              first.",
        node: &[
            "host and absolute-form: two of the same",
            "host fields: two in 1.0 | two in two cases | two of the same | two that differ | two, one empty",
        ],
        ..NOBODY
    },
    Difference {
        why: "A request of HTTP/1.1 has a Host field: RFC 9112 section 3.2. Node 18 has no check of \
              it.",
        node_18: &[
            "host and absolute-form: no host",
            "host fields: none | none but others | underscore before",
        ],
        ..NOBODY
    },
    Difference {
        why: "RFC 3986 lets an empty name, percent-encoding, a comma and any number of digits for a \
              port through. No such host can be reached, and a comma is what two merged fields look \
              like.",
        node: &[
            "host: blank | empty | list without a space | percent-encoded | port above 65535 | port alone",
        ],
        go: &[
            "host: blank | empty | list without a space | percent-encoded | port above 65535 | port alone",
        ],
        ..NOBODY
    },
    Difference {
        why: "A Host field has a host and perhaps a port, else RFC 9112 section 3.2 says 400. Node \
              looks at none, Go at single bytes.",
        node: &[
            "host fields: bad one in 1.0",
            "host: address of IPv4 in brackets | backslash | fragment | less and greater | letters as the port",
            "host: letters behind brackets | letters in brackets | list | obs-text | open bracket | path | query",
            "host: quotes | scheme | sign before the port | space inside | tab inside | two ports | user",
            "host: user and password",
        ],
        go: &[
            "host: address of IPv4 in brackets | letters as the port | letters behind brackets | letters in brackets",
            "host: open bracket | sign before the port | two ports",
        ],
        ..NOBODY
    },
    Difference {
        why: "A folded line is 400: RFC 9112 section 5.2. Go unfolds it.",
        go: &[
            "coding fields: folded",
            "field: folded before the value | folded with SP | folded with TAB | folded with nothing",
            "first field: folded host",
            "length fields: folded",
            "smuggled: GET, folded coding | HEAD, folded coding",
        ],
        ..NOBODY
    },
    Difference {
        why: "Go takes a field behind a blank for the rest of the one before, and so finds no body but \
              junk.",
        go: &["coding fields: SP before the name"],
        ..NOBODY
    },
    Difference {
        why: "A field has a name.",
        node_18: &["field: colon alone | no name"],
        go: &["field: colon alone | no name"],
        ..NOBODY
    },
    Difference {
        why: "Blanks before a colon or the first field are 400: RFC 9112 sections 5.1 and 2.2. Node 18 \
              passes over them.",
        node_18: &[
            "field: SP before the colon",
            "first field: SP before | SP before the colon",
            "name with: SP",
        ],
        ..NOBODY
    },
    Difference {
        why: "Kapok takes 8 KiB of target, 100 fields and 16 KiB of head. Go takes 1 MiB, node counts \
              bytes alone.",
        node: &["limit: 101 fields | 200 fields | target of 12,000 bytes | target of 8,193 bytes"],
        go: &[
            "limit: 10,000 fields | 101 fields | 200 fields | name of 100,000 bytes | target of 100,000 bytes",
            "limit: target of 12,000 bytes | target of 8,193 bytes | value of 100,000 bytes | value of 20,000 bytes",
        ],
        ..NOBODY
    },
    Difference {
        why: "Leading zeros are digits to RFC 9110 section 8.6 and octal to some readers. No client \
              sends them.",
        node: &["length: leading zero | leading zeros | octal by a zero | two zeros"],
        go: &["length: leading zero | leading zeros | octal by a zero | two zeros"],
        ..NOBODY
    },
    Difference {
        why: "Blanks around a value are right, but parsers differ on those around a length and no \
              client sends them.",
        node: &["length: SP behind | TAB before | two SP before"],
        go: &["length: SP behind | TAB before | TAB behind | two SP before"],
        ..NOBODY
    },
    Difference {
        why: "An empty length is none, which is what Go takes it for; the body is then the next \
              request.",
        go: &["length: blank | empty"],
        ..NOBODY
    },
    Difference {
        why: "RFC 9110 section 8.6 lets equal lengths be taken for one. An honest client sends one.",
        go: &["length fields: two apart | two of the same"],
        ..NOBODY
    },
    Difference {
        why: "What ends with `chunked` and has other codings before it is not implemented, hence 501: \
              RFC 9112 section 6.1. Node undoes the last coding and hands on the rest.",
        node: &[
            "coding fields: gzip and chunked",
            "coding: gzip, chunked | identity, chunked",
        ],
        ..NOBODY
    },
    Difference {
        why: "A coding that nobody here knows is 501: RFC 9112 section 6.1. Node says 400.",
        node: &[
            "coding: chunke | chunked chunked | chunkedx | gzip | identity | quotes | xchunked",
            "length and coding: length and identity",
            "smuggled: GET, unknown coding | HEAD, unknown coding",
        ],
        ..NOBODY
    },
    Difference {
        why: "`chunked` that is not last, not once or not a list element is 400: RFC 9112 sections 6.1 \
              and 6.3. Go says 501 to all but `chunked`.",
        go: &[
            "coding fields: chunked and gzip | chunked and identity | chunked and nothing | folded behind",
            "coding fields: two of the same",
            "coding: CR before | FF before | NUL behind | VT before | chunked, chunked | chunked, gzip",
            "coding: chunked, identity | comma alone | comma and SP behind | comma before | comma behind",
            "coding: comma right before | empty | no-break space before | obs-text behind | parameter | weight",
            "length and coding: length and empty coding",
            "smuggled: GET, VT before the coding | GET, comma before the coding | GET, identity behind",
            "smuggled: HEAD, VT before the coding | HEAD, comma before the coding | HEAD, identity behind",
        ],
        ..NOBODY
    },
    Difference {
        why: "Empty list elements are to be ignored: RFC 9110 section 5.6.1.2. In this field they are \
              what attacks are made of, so kapok refuses.",
        node: &[
            "coding fields: chunked and nothing",
            "coding: comma before | comma right before",
        ],
        node_18: &["length and coding: length and empty coding"],
        ..NOBODY
    },
    Difference {
        why: "Names of codings have no case and blanks around them are right, but no client sends \
              either, and attacks do.",
        node: &[
            "coding: SP behind | TAB before | capital letter | capital letters | mixed letters | two SP before",
        ],
        go: &[
            "coding: SP behind | TAB before | TAB behind | capital letter | capital letters | mixed letters",
            "coding: two SP before",
            "smuggled: GET, blank behind the coding | GET, capital letter | HEAD, blank behind the coding",
            "smuggled: HEAD, capital letter",
        ],
        ..NOBODY
    },
    Difference {
        why: "HTTP/1.0 has no Transfer-Encoding, so its framing is faulty: RFC 9112 section 6.1. Go \
              goes by the length that is not there.",
        node: &["coding in 1.0: chunked | chunked to be kept"],
        go: &["coding in 1.0: and a length | chunked | chunked to be kept"],
        ..NOBODY
    },
    Difference {
        why: "By RFC 9112 section 6.3 the coding wins over a length, but both together ought to be \
              handled as an error. Go lets it win without a look at the length.",
        go: &[
            "byte by byte: length and coding",
            "length and coding: bad length | coding first | length first | length of nothing | length too long",
            "length and coding: to be closed",
            "smuggled: GET, coding wins | GET, length wins | GET, letter behind the length",
            "smuggled: GET, plus before the length | HEAD, coding wins | HEAD, length wins",
            "smuggled: HEAD, letter behind the length | HEAD, plus before the length",
        ],
        ..NOBODY
    },
    Difference {
        why: "A size is hexadecimal digits, at least one, without blanks: RFC 9112 section 7.1. Go \
              trims blanks, and takes no digit for 0.",
        go: &[
            "byte by byte: bad chunk size",
            "chunk size: SP behind | TAB behind",
            "last chunk: SP behind | none",
        ],
        ..NOBODY
    },
    Difference {
        why: "As many digits as 64 bits have are enough. Node counts no zeros.",
        node: &[
            "chunk size: 17 digits of 5 | a hundred digits",
            "last chunk: 17 zeros",
        ],
        ..NOBODY
    },
    Difference {
        why: "By RFC 9112 section 7.1.1 blanks in an extension are to be taken but never sent. Nobody \
              sends them, and parsers differ.",
        node_18: &[
            "extension: SP before the equals sign | SP behind | SP behind the equals sign | SP behind the semicolon",
        ],
        go: &[
            "extension: SP before the equals sign | SP behind | SP behind the equals sign | SP behind the semicolon",
        ],
        ..NOBODY
    },
    Difference {
        why: "An extension has a name, and a value of a token or in quotes: RFC 9112 section 7.1.1. Go \
              does not look at it and node, most of all node 18, is content with less.",
        node: &["extension: empty before another | no name | no value | quotes inside a value"],
        node_18: &[
            "extension: backslash at the end | bracket | comma | empty | empty behind another | letter behind quotes",
            "extension: obs-text | open quotes | quotes for a name | two values",
            "last chunk: semicolon behind",
        ],
        go: &[
            "extension: 0x01 | DEL | NUL | NUL in quotes | backslash at the end | bare CR | bracket | comma | empty",
            "extension: empty before another | empty behind another | letter behind quotes | no name | no value",
            "extension: obs-text | open quotes | quotes for a name | quotes inside a value | two values",
            "last chunk: semicolon behind",
        ],
        ..NOBODY
    },
    Difference {
        why: "Kapok takes 1 MiB of body unless the handler allows more. The others leave it to the \
              handler.",
        node: &["body too long: chunked | known | known and awaited"],
        go: &["body too long: chunked | known | known and awaited"],
        ..NOBODY
    },
    Difference {
        why: "Kapok limits all extensions of a body together, the others each alone.",
        node: &["long extension: 100 of 1,000 bytes"],
        go: &["long extension: 100 of 1,000 bytes"],
        ..NOBODY
    },
    Difference {
        why: "A trailer is a field and has the form of one. Go throws away a trailer section that it \
              cannot read, and node 18 reads it loosely.",
        node_18: &["trailer: SP before the colon | SP before the name | no name"],
        go: &[
            "trailer: 0x01 | DEL | NUL | SP before the colon | bare CR inside | folded | name with brackets",
            "trailer: no name",
        ],
        ..NOBODY
    },
    Difference {
        why: "Kapok limits the number of trailers, node their bytes alone.",
        node: &["trailer: a thousand"],
        ..NOBODY
    },
    Difference {
        why: "RFC 9110 section 6.5.1 forbids fields in trailers that matter before the body is read. \
              Go and node keep trailers apart or drop them; kapok refuses, as someone behind it may \
              merge them. Node closes after a Connection field there.",
        node: &[
            "trailer that may be none: authorization | condition | connection | content coding | content range",
            "trailer that may be none: content type | cookie | expectation | host | range | te | trailer | upgrade",
        ],
        node_18: &["trailer that may be none: length | lower case"],
        go: &[
            "trailer that may be none: authorization | coding | condition | connection | content coding",
            "trailer that may be none: content range | content type | cookie | expectation | host | length",
            "trailer that may be none: lower case | range | te | trailer | upgrade",
        ],
        ..NOBODY
    },
    Difference {
        why: "Behind a 417 a body may follow or not: RFC 9110 section 10.1.1. So kapok closes the \
              connection. Node keeps it and takes the body.",
        node: &[
            "expect and await: unknown",
            "expect without a body: unknown",
            "expect: empty | unknown",
        ],
        ..NOBODY
    },
    Difference {
        why: "Anything but `100-continue` may be answered 417: RFC 9110 section 10.1.1. Node and Go \
              look for it among others, and Go lets an empty field pass.",
        node: &[
            "expect and await: known among unknown",
            "expect: begins like it | parameter | two fields | unknown before it | unknown behind it",
        ],
        go: &[
            "expect and await: known among unknown",
            "expect: empty | two fields | unknown before it | unknown behind it",
        ],
        ..NOBODY
    },
    Difference {
        why: "Where no body follows there is nothing to continue with: RFC 9110 section 10.1.1.",
        node: &["expect without a body: known"],
        ..NOBODY
    },
    Difference {
        why: "RFC 9110 section 10.1.1 has `100-continue` of HTTP/1.0 clients ignored, and no client of \
              that age knows another.",
        go: &["expect without a body: unknown in 1.0"],
        ..NOBODY
    },
    Difference {
        why: "`close` wins over `keep-alive`: RFC 9112 section 9.3.",
        node: &["connection: 1.0 with both"],
        go: &["connection: 1.0 with both"],
        ..NOBODY
    },
    Difference {
        why: "A tab is a blank: RFC 9110 section 5.6.3.",
        node: &["connection: close behind a tab"],
        ..NOBODY
    },
    Difference {
        why: "Proxy-Connection means nothing: RFC 9112 appendix C.2.2.",
        node: &["connection: 1.0 of a proxy | of a proxy"],
        ..NOBODY
    },
];

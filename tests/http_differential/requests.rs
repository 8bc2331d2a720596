//! What a request of the tables is, and the pieces that the tables are written with.

/// A request, or several in a row, to be sent on a connection of its own.
#[derive(Debug, Clone)]
pub struct Request {
    /// `group: variant`; no two requests have the same.
    pub name: String,
    pub bytes: Vec<u8>,
    pub delivery: Delivery,
    /// Which of the final answers, counted from 0, are to HEAD and so have no body.
    pub heads: Vec<usize>,
    /// What kapok does with an odd request: the status codes in their order and, where it is not the rule, `kept` or `closed`.
    /// The rule is that a refusal closes the connection and an answer keeps it.
    pub verdict: &'static str,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece; the direction stays open.
    Whole,
    /// In pieces of a byte.
    ByteByByte,
    /// The first head at once, and the rest when the answer 100 asks for it.
    OnContinue,
    /// In one piece, with the end of the stream behind it.
    CutShort,
}

impl Request {
    pub fn new(group: &str, variant: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: format!("{group}: {variant}"),
            bytes: bytes.into(),
            delivery: Delivery::Whole,
            heads: Vec::new(),
            verdict: "",
        }
    }

    pub fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    pub fn heads(mut self, heads: impl IntoIterator<Item = usize>) -> Self {
        self.heads = heads.into_iter().collect();
        self
    }

    /// Returns the verdict in the form in which an [`Outcome`](crate::exchange::Outcome) is printed.
    pub fn full_verdict(&self) -> String {
        if self.verdict.ends_with("kept") || self.verdict.ends_with("closed") {
            return self.verdict.to_owned();
        }
        let last = self.verdict.split(' ').next_back().unwrap_or_default();
        let end = if last.starts_with('2') {
            "kept"
        } else {
            "closed"
        };
        format!("{} {end}", self.verdict)
    }
}

/// A row of a table of odd requests: the variant, what is put into the group's request, and the verdict.
pub type Row<'a> = (&'a str, &'a str, &'static str);

/// Makes the requests of a table: `request` puts the second column of each row where it belongs.
pub fn table(group: &str, rows: &[Row<'_>], request: impl Fn(&str) -> String) -> Vec<Request> {
    rows.iter()
        .map(|(variant, part, verdict)| Request {
            verdict,
            ..Request::new(group, variant, bytes(&request(part)))
        })
        .collect()
}

/// Makes the requests of a table of whole requests that are cut short.
pub fn cut_short(group: &str, rows: &[Row<'_>]) -> Vec<Request> {
    table(group, rows, str::to_owned)
        .into_iter()
        .map(|request| request.delivered(Delivery::CutShort))
        .collect()
}

/// Turns each character into the one byte of its number, which must be below 256: the tables are of readable text, and what they
/// are about are bytes. So `\u{c3}\u{a9}` is how the two bytes of `é` are written.
pub fn bytes(text: &str) -> Vec<u8> {
    let byte = |character| {
        u8::try_from(u32::from(character))
            .unwrap_or_else(|_| panic!("{character:?} is no byte, in {text:?}"))
    };
    text.chars().map(byte).collect()
}

/// A GET request with this target.
pub fn get_target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HOST}\r\n")
}

/// A GET request with these header lines, each with its line end, behind the `Host` field.
pub fn get_with(lines: &str) -> String {
    format!("GET /describe HTTP/1.1\r\n{HOST}{lines}\r\n")
}

/// A POST request with these header lines and this body, which the lines must tell the end of.
pub fn post_with(lines: &str, body: &str) -> String {
    format!("POST /describe HTTP/1.1\r\n{HOST}{lines}\r\n{body}")
}

/// A POST request with this body behind `Transfer-Encoding: chunked`.
pub fn post_chunked(body: &str) -> String {
    post_with("Transfer-Encoding: chunked\r\n", body)
}

/// A whole request that stands behind another.
pub const NEXT: &str = "GET /describe?next HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub const HOST: &str = "Host: localhost\r\n";

/// `hello` in one chunk, and the end.
pub const HELLO_CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";

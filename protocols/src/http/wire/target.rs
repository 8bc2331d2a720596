//! Request targets and hosts.

use std::net::Ipv6Addr;
use std::str::FromStr;

use ::http::Uri;

use crate::http::error::Refusal;

/// Where the path of a request target is; the query is what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TargetParts {
    /// Where the path begins: behind the authority in absolute-form, else 0.
    pub(super) path_start: u16,
    /// Where the path ends: at the `?` or at the end of the target.
    pub(super) path_end: u16,
    /// Where the authority begins in absolute-form. It ends at `path_start`.
    pub(super) authority_start: u16,
}

/// Checks a target, of at most `u16::MAX` bytes, and writes where its path is to `parts`.
///
/// Each of the four forms is taken for the methods it belongs to, and only with bytes that `http::Uri` takes too. `"`, `<`,
/// `>` and `#` are refused, as are `\` and the backtick in a path: they must be percent-encoded, and programs differ in what
/// they make of them. `[`, `]`, `^`, `{`, `|` and `}`, which a strict reader of RFC 3986 would refuse as well, are let through
/// because browsers send them.
///
/// # Source
///
/// RFC 9112 section 3.2.
#[inline]
pub(super) fn check_target(
    method: &str,
    target: &[u8],
    parts: &mut TargetParts,
) -> Result<(), Refusal> {
    if target.first() == Some(&b'/') && method != "CONNECT" {
        parts.path_end = check_path(target, 0)?;
        (parts.path_start, parts.authority_start) = (0, 0);
        return Ok(());
    }
    *parts = check_rare_form(method, target)?;
    Ok(())
}

/// Checks the forms that are not a plain path.
#[cold]
fn check_rare_form(method: &str, target: &[u8]) -> Result<TargetParts, Refusal> {
    let length = target.len() as u16;
    match (method, target) {
        ("CONNECT", _) => {
            let has_port = target.last().is_some_and(u8::is_ascii_digit) && target.contains(&b':');
            if !has_port || !is_host(target) {
                return Err(Refusal::bad_request("CONNECT takes a host and a port"));
            }
            Ok(TargetParts {
                path_start: length,
                path_end: length,
                authority_start: 0,
            })
        }
        ("OPTIONS", b"*") => Ok(TargetParts {
            path_end: length,
            ..TargetParts::default()
        }),
        _ => check_absolute(target),
    }
}

fn check_absolute(target: &[u8]) -> Result<TargetParts, Refusal> {
    let authority_start = ["http://", "https://"]
        .iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .map(|scheme| scheme.len())
        .ok_or(Refusal::bad_request("the request target has no known form"))?;
    let rest = &target[authority_start..];
    let authority_bytes = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    if !is_host(&rest[..authority_bytes]) {
        return Err(Refusal::bad_request(
            "the authority of the request target is invalid",
        ));
    }
    let path_start = authority_start + authority_bytes;
    let path_end = check_path(target, path_start)?;
    if Uri::try_from(target).is_err() {
        return Err(Refusal::bad_request(
            "the request target is not a valid URI",
        ));
    }
    Ok(TargetParts {
        path_start: path_start as u16,
        path_end,
        authority_start: authority_start as u16,
    })
}

/// Checks path and query from `start` on and returns where the path ends.
#[inline]
fn check_path(target: &[u8], start: usize) -> Result<u16, Refusal> {
    let not_path = |byte: &u8| BYTES[*byte as usize] & PATH == 0;
    let Some(path_bytes) = target[start..].iter().position(not_path) else {
        return Ok(target.len() as u16);
    };
    let path_end = start + path_bytes;
    if target[path_end] != b'?' {
        return Err(explain_byte(target[path_end]));
    }
    let query = &target[path_end + 1..];
    match query
        .iter()
        .find(|byte| BYTES[**byte as usize] & QUERY == 0)
    {
        Some(byte) => Err(explain_byte(*byte)),
        None => Ok(path_end as u16),
    }
}

#[cold]
fn explain_byte(byte: u8) -> Refusal {
    Refusal::bad_request(match byte {
        b'#' => "the request target has a fragment",
        _ => "the request target has a byte that must be percent-encoded",
    })
}

/// Returns whether `value` is a host with an optional port, as a `Host` field or an authority without user has it.
///
/// An empty name is refused: it is right only for schemes without an authority. Percent-encoded names and the comma, which
/// RFC 3986 would let through, are refused as well: the first occur in no domain name, the second is what two merged `Host`
/// fields look like.
///
/// # Source
///
/// RFC 9110 section 7.2, RFC 3986 section 3.2.
#[inline]
pub(super) fn is_host(value: &[u8]) -> bool {
    let not_name = |byte: &u8| BYTES[*byte as usize] & HOST == 0;
    let name_bytes = match value.first() {
        Some(b'[') => ipv6_bytes(value),
        _ => value.iter().position(not_name).unwrap_or(value.len()),
    };
    if name_bytes == 0 {
        return false;
    }
    match &value[name_bytes..] {
        [] => true,
        [b':', port @ ..] => is_port(port),
        _ => false,
    }
}

/// Returns the length of the address in brackets that `value` begins with, 0 if there is none.
#[cold]
fn ipv6_bytes(value: &[u8]) -> usize {
    let Some(close) = value.iter().position(|byte| *byte == b']') else {
        return 0;
    };
    let address = str::from_utf8(&value[1..close])
        .ok()
        .map(Ipv6Addr::from_str);
    if matches!(address, Some(Ok(_))) {
        close + 1
    } else {
        0
    }
}

#[inline]
fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits
            .iter()
            .fold(0, |port, digit| port * 10 + u32::from(digit - b'0'))
            <= 65_535
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
const HOST: u8 = 4;

/// Where each byte may stand: a sum of [`PATH`], [`QUERY`] and [`HOST`].
static BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => PATH | QUERY | HOST,
            b'-' | b'.' | b'_' | b'~' => PATH | QUERY | HOST,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => {
                PATH | QUERY | HOST
            }
            b'"' | b'#' | b'<' | b'>' => 0,
            b'?' | b'\\' | b'`' => QUERY,
            _ => PATH | QUERY,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(method: &str, target: &str) -> Option<String> {
        let mut parts = TargetParts::default();
        check_target(method, target.as_bytes(), &mut parts).ok()?;
        Some(target[parts.path_start as usize..parts.path_end as usize].to_owned())
    }

    #[test]
    fn each_form_belongs_to_its_methods() {
        assert_eq!(path_of("GET", "/a/b?c=/d?"), Some("/a/b".into()));
        assert_eq!(path_of("GET", "//a"), Some("//a".into()));
        assert_eq!(path_of("GET", "HTTP://host:80/a?b"), Some("/a".into()));
        assert_eq!(path_of("GET", "https://host"), Some(String::new()));
        assert_eq!(path_of("GET", "http://host?q"), Some(String::new()));
        assert_eq!(path_of("OPTIONS", "*"), Some("*".into()));
        assert_eq!(path_of("CONNECT", "host:443"), Some(String::new()));
        for (method, target) in [
            ("GET", "*"),
            ("OPTIONS", "**"),
            ("GET", "host:443"),
            ("GET", "a/b"),
            ("GET", "ftp://host/"),
            ("GET", "http:///a"),
            ("GET", "http://user@host/a"),
            ("GET", "http://a b/"),
            ("CONNECT", "/a"),
            ("CONNECT", "host"),
            ("CONNECT", "host:"),
            ("CONNECT", "http://host:80"),
        ] {
            assert_eq!(path_of(method, target), None, "{method} {target}");
        }
    }

    #[test]
    fn uri_takes_every_byte_that_passes() {
        let mut passed = 0;
        for byte in 0..=u8::MAX {
            for template in ["/a_b", "/a?b_c", "http://host/a_b", "http://host/?a_b"] {
                let target: Vec<u8> = template
                    .bytes()
                    .map(|each| if each == b'_' { byte } else { each })
                    .collect();
                if check_target("GET", &target, &mut TargetParts::default()).is_ok() {
                    passed += 1;
                    assert!(
                        Uri::try_from(&target[..]).is_ok(),
                        "{byte:#04x} in {template}"
                    );
                }
            }
        }
        // 94 visible bytes less 4 everywhere and less 2 more in the two paths, where `?` passes as the end of the path.
        assert_eq!(passed, 4 * 90 - 2 * 2);
    }

    #[test]
    fn hosts_have_a_name_and_perhaps_a_port() {
        for host in [
            "a",
            "a.b-c_d",
            "127.0.0.1:17001",
            "a:",
            "[::1]",
            "[::1]:80",
            "a:65535",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "a:b", "a:80:80", "a:65536", "a:000080", "user@a", "a/b", "a, b", "a,b",
            "a b", "[::1", "[::g]", "[::1]a", "a%41", "\u{e9}", "a?b", "a#b",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}

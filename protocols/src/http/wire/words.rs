//! Eight bytes at a time: which of them are of a kind, told with a few operations on a `u64`.
//!
//! Each function marks bytes by their top bit, the first byte of the text in the lowest one, and is exact for every byte: no
//! carry passes from one byte to the next. So `marks.trailing_zeros() / 8` is the index of the first one.

/// Returns the eight bytes at `at`. Those behind the end of `bytes` are 0.
#[inline]
pub(super) fn word_at(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes, at),
    }
}

#[cold]
#[inline(never)]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    let shift_in = |word, byte: &u8| word << 8 | u64::from(*byte);
    rest.iter().take(8).rev().fold(0, shift_in)
}

/// Returns the index of the first byte from `at` on that `marks` marks. A mark of the bytes 0 behind the end ends the search.
#[inline]
pub(super) fn find_marked(bytes: &[u8], at: usize, marks: impl Fn(u64) -> u64) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let marked = marks(u64::from_le_bytes(*chunk));
        if marked != 0 {
            return bytes.len() - rest.len() + first(marked);
        }
        rest = behind;
    }
    bytes.len() - rest.len() + first(marks(last_word(rest, 0)))
}

/// Returns the index of the first marked byte.
#[inline]
pub(super) fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Marks each line feed.
#[inline]
pub(super) fn line_feeds(word: u64) -> u64 {
    let not_line_feeds = unequal(word & LOW, b'\n') | word;
    (not_line_feeds & TOP) ^ TOP
}

/// Marks what is neither a letter, a digit, `-` nor `.`.
#[inline]
pub(super) fn not_in_names(word: u64) -> u64 {
    let low = word & LOW;
    let not_letters = between(low | all(0x20), b'a', b'z') ^ TOP;
    let not_others = between(low, b'-', b'9') & unequal(low, b'/') ^ TOP;
    (not_letters & not_others | word) & TOP
}

/// Marks what is no digit.
#[inline]
pub(super) fn not_digits(word: u64) -> u64 {
    (between(word & LOW, b'0', b'9') ^ TOP | word) & TOP
}

/// Marks what may not stand in the path of a target, and `!`.
#[inline]
pub(super) fn not_in_paths(word: u64) -> u64 {
    let low = word & LOW;
    let signs = between(low, b'$', b'=') & unequal(low, b'<');
    let letters = between(low, b'@', b'~') & unequal(low, b'\\') & unequal(low, b'`');
    ((signs | letters) ^ TOP | word) & TOP
}

/// Marks what may not stand in the query of a target.
#[inline]
pub(super) fn not_in_queries(word: u64) -> u64 {
    let low = word & LOW;
    let taken = between(low, b'!', b'~')
        & unequal(low, b'"')
        & unequal(low, b'#')
        & unequal(low, b'<')
        & unequal(low, b'>');
    (taken ^ TOP | word) & TOP
}

/// Marks control bytes, tab among them.
#[inline]
pub(super) fn controls(word: u64) -> u64 {
    let low = word & LOW;
    let taken = from(low, b' ') & unequal(low, 0x7f) | word;
    (taken & TOP) ^ TOP
}

/// Marks the bytes from `first` to `last`. Like the next two it takes a word without top bits and leaves other bits dirty.
#[inline]
fn between(low: u64, first: u8, last: u8) -> u64 {
    from(low, first) ^ from(low, last + 1)
}

/// Marks the bytes that are not below `first`.
#[inline]
fn from(low: u64, first: u8) -> u64 {
    low + all(0x80 - first)
}

/// Marks the bytes other than `byte`.
#[inline]
fn unequal(low: u64, byte: u8) -> u64 {
    (low ^ all(byte)) + LOW
}

#[inline]
const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

const TOP: u64 = all(0x80);
const LOW: u64 = all(0x7f);

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `marks` with each byte at each place among neighbours of several kinds.
    fn check(marks: impl Fn(u64) -> u64, expected: impl Fn(u8) -> bool) {
        for neighbour in [0, b'\n', b'a', 0x7f, 0x80, 0xff] {
            for (place, byte) in
                (0..8).flat_map(|place| (0..=u8::MAX).map(move |byte| (place, byte)))
            {
                let mut bytes = [neighbour; 8];
                bytes[place] = byte;
                let found = marks(u64::from_le_bytes(bytes)).to_le_bytes();
                let wanted = bytes.map(|byte| if expected(byte) { 0x80 } else { 0 });
                assert_eq!(
                    found, wanted,
                    "{byte:#04x} at {place} among {neighbour:#04x}"
                );
            }
        }
    }

    #[test]
    fn marks_are_exact() {
        check(line_feeds, |byte| byte == b'\n');
        check(controls, |byte| byte.is_ascii_control());
        check(not_digits, |byte| !byte.is_ascii_digit());
        check(not_in_names, |byte| {
            !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'.')
        });
        check(not_in_paths, |byte| {
            !byte.is_ascii_graphic()
                || matches!(byte, b'!' | b'"' | b'#' | b'<' | b'>' | b'?' | b'\\' | b'`')
        });
        check(not_in_queries, |byte| {
            !byte.is_ascii_graphic() || matches!(byte, b'"' | b'#' | b'<' | b'>')
        });
    }

    #[test]
    fn behind_the_end_are_zeros() {
        let bytes = b"0123456789";
        assert_eq!(word_at(bytes, 0), u64::from_le_bytes(*b"01234567"));
        assert_eq!(word_at(bytes, 2), u64::from_le_bytes(*b"23456789"));
        assert_eq!(word_at(bytes, 3), u64::from_le_bytes(*b"3456789\0"));
        assert_eq!(word_at(bytes, 9), u64::from(b'9'));
        assert_eq!(word_at(bytes, 10), 0);
        assert_eq!(word_at(bytes, 99), 0);
        assert_eq!(find_marked(bytes, 1, not_digits), 10);
        assert_eq!(find_marked(b"0123456789a", 1, not_digits), 10);
    }
}

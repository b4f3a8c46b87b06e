//! Finds `${…}` in texts. `$${` is a `${` that means itself.

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text as it is.
    Text(String),
    /// What stands between `${` and `}`.
    Reference(&'a str),
}

/// A `${` without its `}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclosed;

/// Whether there is anything to do in a text.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains("${")
}

/// Cuts a text into pieces; neighbouring text is one piece.
pub(super) fn scan(text: &str) -> Result<Vec<Piece<'_>>, Unclosed> {
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            plain.push_str(&rest[..at]);
            plain.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        plain.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = closing(inner).ok_or(Unclosed)?;
        if !plain.is_empty() {
            out.push(Piece::Text(std::mem::take(&mut plain)));
        }
        out.push(Piece::Reference(&inner[..end]));
        rest = &inner[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() || out.is_empty() {
        out.push(Piece::Text(plain));
    }
    Ok(out)
}

/// The `}` that is not inside quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(i),
            '\n' => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let text = "a $${b} ${c.d[\"}\"]}e";
        let pieces = scan(text).unwrap();
        let text = |t: &str| Piece::Text(t.to_owned());
        assert_eq!(
            pieces,
            [text("a ${b} "), Piece::Reference("c.d[\"}\"]"), text("e")]
        );
        assert_eq!(scan("${a"), Err(Unclosed));
    }
}

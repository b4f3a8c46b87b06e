//! Prepared statements: the values are written into the text, which is then a statement like others.

use super::wire::Pieces;

/// The statement and its place-holders.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The text between the place-holders.
    parts: Vec<String>,
    /// The types of the last execution, which a later one may leave out.
    kinds: Vec<u8>,
}

impl Prepared {
    pub(super) fn new(sql: &str) -> Prepared {
        let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
        let mut chars = sql.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (None, '?') => parts.push(std::mem::take(&mut part)),
                (_, '\\') => {
                    part.push(c);
                    part.extend(chars.next());
                }
                (None, '\'' | '"' | '`') => {
                    quote = Some(c);
                    part.push(c);
                }
                (Some(open), c) => {
                    if c == open {
                        quote = None;
                    }
                    part.push(c);
                }
                (None, c) => part.push(c),
            }
        }
        parts.push(part);
        Prepared {
            parts,
            kinds: Vec::new(),
        }
    }

    /// How many values it takes.
    pub(super) fn count(&self) -> usize {
        self.parts.len() - 1
    }

    /// The statement with the values of an execution; `None` when they cannot be read.
    pub(super) fn filled(&mut self, payload: &[u8]) -> Option<String> {
        let mut pieces = Pieces(payload);
        let count = self.count();
        let mut out = self.parts[0].clone();
        if count == 0 {
            return Some(out);
        }
        let nulls = pieces.take(count.div_ceil(8))?;
        if pieces.byte()? == 1 {
            let kinds = pieces.take(count * 2)?;
            self.kinds = kinds.chunks(2).map(|k| k[0]).collect();
        }
        for (at, kind) in self.kinds.iter().enumerate().take(count) {
            if nulls[at / 8] >> (at % 8) & 1 == 1 {
                out.push_str("NULL");
            } else {
                out.push_str(&literal(&mut pieces, *kind)?);
            }
            out.push_str(self.parts.get(at + 1)?);
        }
        Some(out)
    }
}

#[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)]
fn literal(pieces: &mut Pieces<'_>, kind: u8) -> Option<String> {
    Some(match kind {
        1 => (pieces.byte()? as i8).to_string(),
        2 => (pieces.number(2)? as i16).to_string(),
        3 => (pieces.number(4)? as i32).to_string(),
        8 => (pieces.number(8)? as i64).to_string(),
        4 => f32::from_bits(pieces.number(4)? as u32).to_string(),
        5 => f64::from_bits(pieces.number(8)?).to_string(),
        6 => "NULL".to_owned(),
        7 | 10 | 12 => moment(pieces)?,
        _ => quoted(&String::from_utf8_lossy(pieces.text()?)),
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn moment(pieces: &mut Pieces<'_>) -> Option<String> {
    let length = pieces.byte()?;
    let mut part = |width: usize, there: bool| match there {
        true => pieces.number(width),
        false => Some(0),
    };
    let (year, month, day) = (
        part(2, length >= 4)?,
        part(1, length >= 4)?,
        part(1, length >= 4)?,
    );
    let (hour, minute, second) = (
        part(1, length >= 7)?,
        part(1, length >= 7)?,
        part(1, length >= 7)?,
    );
    let micros = part(4, length >= 11)?;
    Some(format!(
        "'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_where_the_place_holders_are() {
        let mut prepared = Prepared::new("SELECT '?', ?, \"a?\\\"?\", ?");
        assert_eq!(prepared.count(), 2);
        let payload = [&[0b10, 1, 253, 0, 8, 0, 3][..], b"i's"].concat();
        let filled = prepared.filled(&payload).unwrap();
        assert_eq!(filled, "SELECT '?', 'i''s', \"a?\\\"?\", NULL");
    }
}

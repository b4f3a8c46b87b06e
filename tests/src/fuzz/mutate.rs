//! Seeded changes of inputs, for tests that repeat exactly.

/// A source of numbers (xorshift64*).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }
}

/// What texts and numbers break at.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"9007199254740993",
    b"\xff\xfe",
    b"\xc3",
    b"\\ud800",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b"\xe2\x80\xae",
    b"${",
    b"}}",
    b"::",
    b"##[",
    b"`",
    b"|",
    b"<a>",
    b"../",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
];

/// The bytes with one to four changes; `other` is spliced in now and then.
pub fn change(bytes: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=chance.below(4) {
        one(&mut out, other, chance);
    }
    out
}

fn one(out: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(out.len() + 1);
    let len = chance.below(32.min(out.len() - at) + 1);
    match chance.below(8) {
        0 if at < out.len() => out[at] ^= 1 << chance.below(8),
        1 if at < out.len() => out[at] = u8::try_from(chance.below(256)).unwrap_or(0),
        2 => out.truncate(at),
        3 => drop(out.drain(at..at + len)),
        4 => {
            let again = out[at..at + len].to_vec();
            let to = chance.below(out.len() + 1);
            out.splice(to..to, again);
        }
        5 => {
            let from = chance.below(other.len() + 1);
            let piece = &other[from..(from + 64).min(other.len())];
            out.splice(at..at + len, piece.iter().copied());
        }
        6 => {
            let times = 1 + chance.below(3) * chance.below(100);
            let piece = PIECES[chance.below(PIECES.len())].repeat(times);
            out.splice(at..at, piece);
        }
        _ => {
            let piece = PIECES[chance.below(PIECES.len())];
            out.splice(at..at + len, piece.iter().copied());
        }
    }
}

//! The port to randomness: lineages, writer nonces and keys come from here and nowhere else.

use zonewright_engine::canon::hex;

/// A source of random bytes.
pub trait Rng: Send {
    /// Fills the buffer.
    fn fill(&mut self, out: &mut [u8]);

    /// 128 bits as 32 hex digits.
    fn hex128(&mut self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        hex(&bytes)
    }
}

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsRng;

impl Rng for OsRng {
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("invariant: the operating system gives random bytes");
    }
}

/// A reproducible generator (splitmix64), for tests and simulation only.
#[derive(Debug, Clone)]
pub struct SeededRng(u64);

impl SeededRng {
    /// Starts the sequence of a seed.
    pub fn new(seed: u64) -> SeededRng {
        SeededRng(seed)
    }
}

impl Rng for SeededRng {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}

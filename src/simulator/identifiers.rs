//! Identifiers that look like AWS's and come from a seed, so that the same requests give the same bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A source of identifiers: a seed and how many were taken from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identifiers {
    seed: u64,
    taken: u64,
}

impl Identifiers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, taken: 0 }
    }

    fn next_hex(&mut self) -> String {
        self.taken += 1;
        hex_digest(&format!("{}:{}", self.seed, self.taken))
    }

    /// So many lower-case hexadecimal digits (at most 64).
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut text = self.next_hex();
        text.truncate(digits);
        text
    }

    pub(crate) fn uuid(&mut self) -> String {
        uuid_from(&self.next_hex())
    }

    /// Upper-case letters and digits, as CloudFormation appends to the names it makes up.
    pub(crate) fn suffix(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        self.letters(length, ALPHABET)
    }

    /// Letters of an alphabet, for generated secrets.
    pub(crate) fn letters(&mut self, length: usize, alphabet: &[u8]) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            self.taken += 1;
            let digest = Sha256::digest(format!("{}:{}", self.seed, self.taken));
            let letters = digest.iter().filter_map(|byte| {
                let place = usize::from(*byte) % alphabet.len().max(1);
                alphabet.get(place).copied().map(char::from)
            });
            text.extend(letters.take(length - text.len()));
            if alphabet.is_empty() {
                break;
            }
        }
        text
    }

    /// A number below a bound, for addresses and dice.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let digits = self.hex(15);
        u64::from_str_radix(&digits, 16).unwrap_or(0) % bound.max(1)
    }
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn hex_digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Shapes the first 32 hexadecimal digits as a UUID.
pub(crate) fn uuid_from(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_identifiers() {
        let draw = |seed| {
            let mut identifiers = Identifiers::new(seed);
            (identifiers.hex(17), identifiers.uuid(), identifiers.suffix(12))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_eq!(draw(7).1.len(), 36);
    }
}

//! Randomness and identity as arguments.

use rand::TryRng;
use uuid::Uuid;

/// A source of unpredictable bits. Only [`OsEntropy`] asks the operating system.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// Fills `bytes` with unpredictable bits.
    fn fill(&self, bytes: &mut [u8]);

    /// A number that can't be guessed.
    fn number(&self) -> i64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        i64::from_le_bytes(bytes)
    }

    /// A number that is uniform over its whole range: a fraction of [`u32::MAX`].
    fn fraction(&self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// A version 4 UUID; 0.6.8 clients accept no other version.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The random number generator of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rngs::SysRng.try_fill_bytes(bytes).expect("the operating system gives random bytes");
    }
}

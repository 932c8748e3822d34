//! Hashing and checking passwords, off the async threads and a few at a time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use mitosis_domain::entropy::Entropy;
use mitosis_protocol::Md5Password;
use tokio::sync::Semaphore;

/// Each hash takes 19 MiB and some 20 ms of a core; a burst of logins waits in line.
const AT_ONCE: usize = 2;

/// Hashes with Argon2id and its recommended cost.
pub(crate) struct Passwords {
    line: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
    /// Checked when the user is unknown, so that a login takes as long as for a known one.
    nobody: String,
}

impl Passwords {
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        let nobody = hash(&[0; 16], &salt(&*entropy));
        Self { line: Arc::new(Semaphore::new(AT_ONCE)), entropy, nobody }
    }

    /// The PHC string to store for a password.
    pub(crate) async fn hash(&self, password: &Md5Password) -> String {
        let (password, salt) = (*password.expose(), salt(&*self.entropy));
        self.in_line(move || hash(&password, &salt)).await
    }

    /// Whether a password is the one that was stored; `None` for a user that does not exist takes as
    /// long and is never right.
    pub(crate) async fn verify(&self, password: &Md5Password, stored: Option<&str>) -> bool {
        let known = stored.is_some();
        let (password, stored) = (*password.expose(), stored.unwrap_or(&self.nobody).to_owned());
        self.in_line(move || verify(&password, &stored)).await && known
    }

    async fn in_line<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _turn = self.line.acquire().await.expect("the line is never closed");
        tokio::task::spawn_blocking(work).await.expect("hashing does not panic")
    }
}

fn salt(entropy: &dyn Entropy) -> [u8; 16] {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    salt
}

fn hash(password: &[u8; 16], salt: &[u8; 16]) -> String {
    Argon2::default()
        .hash_password_with_salt(password, salt)
        .expect("sixteen bytes and the recommended cost are always accepted")
        .to_string()
}

fn verify(password: &[u8; 16], stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|stored| Argon2::default().verify_password(password, &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use mitosis_domain::entropy::OsEntropy;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_right() {
        let passwords = Passwords::new(Arc::new(OsEntropy));
        let (right, wrong) = (Md5Password::from_digest([1; 16]), Md5Password::from_digest([2; 16]));
        let stored = passwords.hash(&right).await;
        assert!(stored.starts_with("$argon2id$v=19$"));
        assert_ne!(stored, passwords.hash(&right).await, "every hash has its own salt");
        assert!(passwords.verify(&right, Some(&stored)).await);
        assert!(!passwords.verify(&wrong, Some(&stored)).await);
        assert!(!passwords.verify(&Md5Password::from_digest([0; 16]), None).await);
        assert!(!passwords.verify(&right, Some("nonsense")).await);
    }
}

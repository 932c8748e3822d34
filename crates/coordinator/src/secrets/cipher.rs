//! Encrypts the values of secrets at rest.
//!
//! The key is derived from the private key that signs access tokens, so all coordinators of a database have the same one,
//! and the database alone reveals no value.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::{digest, encoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::hex;
use mitosis_domain::ids::GroupId;
use mitosis_protocol::secret::SecretValue;
use mitosis_store::ops::secrets::SealedSecret;

use crate::auth::keys::{KeyError, SigningPair};

/// Separates this use of the private key from all others.
const SALT: &[u8] = b"mitosis: secrets of groups, version 1";
const INFO_KEY: &[u8] = b"key";
const INFO_ID: &[u8] = b"id of the key";
/// Bytes of the id of a key: enough to distinguish keys.
const ID_BYTES: usize = 8;

/// The key that encrypts secrets.
pub(crate) struct SecretCipher {
    key: LessSafeKey,
    id: String,
}

/// Why a value can't be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It was encrypted with another key.
    #[error("it was encrypted with another key of the coordinator")]
    OtherKey,
    /// It was changed, or belongs to another group or name.
    #[error("its stored value is damaged")]
    Damaged,
}

impl SecretCipher {
    /// Derives the key from the pair that signs tokens.
    pub(crate) fn new(pair: &SigningPair) -> Result<Self, KeyError> {
        derive(&pair.private_der).map_err(|Unspecified| KeyError::Generate)
    }

    /// Encrypts a value, which can only be decrypted for the same group and name.
    pub(crate) fn seal(
        &self,
        (group, name): (GroupId, &str),
        value: &SecretValue,
        entropy: &dyn Entropy,
    ) -> SealedSecret {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut text = value.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place(group, name)),
                &mut text,
            )
            .expect("a value is far shorter than the longest text of the cipher");
        let sealed = STANDARD.encode([&nonce[..], &text].concat());
        SealedSecret { key_id: self.id.clone(), sealed }
    }

    /// Decrypts a value.
    pub(crate) fn open(
        &self,
        (group, name): (GroupId, &str),
        stored: &SealedSecret,
    ) -> Result<SecretValue, Unreadable> {
        if !self.is_own(&stored.key_id) {
            return Err(Unreadable::OtherKey);
        }
        let mut bytes = STANDARD.decode(&stored.sealed).map_err(|_| Unreadable::Damaged)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Unreadable::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unreadable::Damaged)?;
        let text = self
            .key
            .open_in_place(nonce, Aad::from(place(group, name)), text)
            .map_err(|_| Unreadable::Damaged)?;
        let text = std::str::from_utf8(text).map_err(|_| Unreadable::Damaged)?;
        Ok(SecretValue::new(text))
    }

    /// Whether a key is this one.
    pub(crate) fn is_own(&self, key_id: &str) -> bool {
        self.id == key_id
    }
}

fn derive(private_der: &[u8]) -> Result<SecretCipher, Unspecified> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private_der).map_err(|_| Unspecified)?;
    // The seed is the same in every encoding of the key.
    let seed: encoding::Curve25519SeedBin<'_> = pair.seed()?.as_be_bytes()?;
    let secret = Salt::new(HKDF_SHA256, SALT).extract(seed.as_ref());
    let key = UnboundKey::from(secret.expand(&[INFO_KEY], &AES_256_GCM)?);
    let mut id = [0; 32];
    secret.expand(&[INFO_ID], HKDF_SHA256)?.fill(&mut id)?;
    let id = hex::lower(&digest::digest(&digest::SHA256, &id).as_ref()[..ID_BYTES]);
    Ok(SecretCipher { key: LessSafeKey::new(key), id })
}

/// The place of a value, which is authenticated with it.
fn place(group: GroupId, name: &str) -> Vec<u8> {
    [&group.0.to_be_bytes()[..], name.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use mitosis_domain::entropy::OsEntropy;

    use super::*;

    fn cipher() -> SecretCipher {
        let pair = Ed25519KeyPair::generate().unwrap();
        let private_der = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
        SecretCipher::new(&SigningPair { private_der, public: Vec::new() }).unwrap()
    }

    const PLACE: (GroupId, &str) = (GroupId(5), "TOKEN");

    #[test]
    fn value_is_decrypted_only_at_its_place() {
        let cipher = cipher();
        let value = SecretValue::new("päss\nword");
        let sealed = cipher.seal(PLACE, &value, &OsEntropy);
        assert_eq!(cipher.open(PLACE, &sealed), Ok(value.clone()));
        assert_ne!(cipher.seal(PLACE, &value, &OsEntropy), sealed, "each has its own nonce");
        for elsewhere in [(GroupId(6), "TOKEN"), (GroupId(5), "OTHER"), (GroupId(5), "TOKEN2")] {
            assert_eq!(cipher.open(elsewhere, &sealed), Err(Unreadable::Damaged));
        }
    }

    #[test]
    fn changed_value_and_other_key_are_refused() {
        let cipher = cipher();
        let sealed = cipher.seal(PLACE, &SecretValue::new("password"), &OsEntropy);
        let mut bytes = STANDARD.decode(&sealed.sealed).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        for damaged in [STANDARD.encode(bytes), "AAAA".to_owned(), "?".to_owned(), String::new()] {
            let damaged = SealedSecret { sealed: damaged, ..sealed.clone() };
            assert_eq!(cipher.open(PLACE, &damaged), Err(Unreadable::Damaged));
        }
        assert_eq!(super::tests::cipher().open(PLACE, &sealed), Err(Unreadable::OtherKey));
    }

    #[test]
    fn key_is_the_same_in_both_encodings_of_the_pair() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let (first, second) = (pair.to_pkcs8v1().unwrap(), pair.to_pkcs8().unwrap());
        assert_ne!(first.as_ref(), second.as_ref());
        let [one, other] = [first.as_ref(), second.as_ref()].map(|der| derive(der).unwrap());
        let sealed = one.seal(PLACE, &SecretValue::new("password"), &OsEntropy);
        assert_eq!(other.open(PLACE, &sealed), Ok(SecretValue::new("password")));
    }
}

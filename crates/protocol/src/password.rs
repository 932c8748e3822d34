//! Passwords on the wire: the raw MD5 digest of the UTF-8 text, sixteen bytes (§2).

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The sixteen bytes that represent a password on the wire.
///
/// They can be used like the password itself, so `Debug` hides them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Md5Password([u8; 16]);

impl PartialSchema for Md5Password {
    fn schema() -> RefOr<Schema> {
        let byte = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(255));
        ArrayBuilder::new()
            .items(byte)
            .min_items(Some(16))
            .max_items(Some(16))
            .description(Some("MD5 of the password, byte by byte"))
            .into()
    }
}

impl ToSchema for Md5Password {}

impl Md5Password {
    /// Wraps a digest that was computed elsewhere.
    pub const fn from_digest(digest: [u8; 16]) -> Self {
        Self(digest)
    }

    /// Whether the password is empty.
    pub fn is_empty(&self) -> bool {
        self.0 == OF_NOTHING
    }

    /// The digest, for hashing and comparing; never log it.
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

/// MD5 of the empty password.
const OF_NOTHING: [u8; 16] = 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e_u128.to_be_bytes();

impl fmt::Debug for Md5Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_empty_password_is_known() {
        assert!(Md5Password::from_digest(OF_NOTHING).is_empty());
        assert!(!Md5Password::from_digest([0; 16]).is_empty());
    }

    #[test]
    fn digest_is_sixteen_bytes_and_never_printed() {
        let json = serde_json::to_string(&Md5Password::from_digest([7; 16])).unwrap();
        assert_eq!(json, "[7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7]");
        for wrong in
            ["[1,2,3]", "\"5f4dcc3b5aa765d61d8327deb882cf99\"", "[256,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"]
        {
            assert!(serde_json::from_str::<Md5Password>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{:?}", Md5Password::from_digest([7; 16])), "Md5Password(…)");
    }
}

//! Signs and verifies links to the coordinator with HMAC-SHA256.
//!
//! The signature covers all parts of a link. It is checked first, so that the answer to a forged link reveals
//! nothing.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mitosis_domain::object::{ObjectClass, ObjectKey};
use mitosis_protocol::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::form_urlencoded;

use crate::{Link, LinkError, Right, SignedAccess};

/// The route where the coordinator serves objects.
const MOUNT: &str = "/v1/objects/";

/// Characters that are not escaped in the path of a link.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs and verifies links with a secret.
pub(crate) struct LinkSigner {
    secret: hmac::Key,
}

impl LinkSigner {
    /// Creates a signer with `secret`, which must be known to coordinators only.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// A link that allows `right` on `key` until `now + valid`.
    pub(crate) fn sign(
        &self,
        key: &ObjectKey,
        right: Right,
        holder: Option<&str>,
        valid: Duration,
        now: Timestamp,
    ) -> Link {
        let until = now.saturating_add(valid).unix_seconds();
        let tag = hmac::sign(&self.secret, statement(key, right, holder, until).as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(tag);
        let path = utf8_percent_encode(key.path(), PLAIN);
        let class = class_name(key.class());
        let right = match right {
            Right::Upload { length } => format!("upload={length}"),
            Right::Replace { length, nonce } => format!("replace={length}&nonce={nonce}"),
            Right::Download => "download".to_owned(),
        };
        let holder =
            holder.map(|holder| format!("&holder={}", URL_SAFE_NO_PAD.encode(holder))).unwrap_or_default();
        Link::ViaCoordinator(format!(
            "{MOUNT}{class}/{path}?{right}&until={until}{holder}&signature={signature}"
        ))
    }

    /// Returns what the bearer of this address may do at `now`.
    pub(crate) fn verify(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<SignedAccess, LinkError> {
        let claim = Claim::read(path_and_query).ok_or(LinkError::Invalid)?;
        let statement = statement(&claim.key, claim.right, claim.holder.as_deref(), claim.until);
        hmac::verify(&self.secret, statement.as_bytes(), &claim.signature).map_err(|_| LinkError::Invalid)?;
        match (claim.right, method) {
            (Right::Upload { .. } | Right::Replace { .. }, "PUT") | (Right::Download, "GET" | "HEAD") => {}
            (Right::Upload { .. } | Right::Replace { .. }, _) => {
                return Err(LinkError::WrongMethod { allowed: "PUT" });
            }
            (Right::Download, _) => return Err(LinkError::WrongMethod { allowed: "GET" }),
        }
        if now.unix_seconds() >= claim.until {
            return Err(LinkError::Expired);
        }
        Ok(SignedAccess { key: claim.key, right: claim.right, holder: claim.holder })
    }
}

impl fmt::Debug for LinkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSigner")
    }
}

/// The text that is signed. The path comes last because it is the one part that can contain any character.
fn statement(key: &ObjectKey, right: Right, holder: Option<&str>, until: i64) -> String {
    let class = class_name(key.class());
    let path = key.path();
    let right = match right {
        Right::Upload { length } => format!("upload {length}"),
        Right::Replace { length, nonce } => format!("replace {length} {nonce}"),
        Right::Download => "download".to_owned(),
    };
    match holder {
        // Encoded, so that it is one line.
        Some(holder) => {
            let holder = URL_SAFE_NO_PAD.encode(holder);
            format!("mitosis link 2\n{right}\n{until}\n{holder}\n{class}\n{path}")
        }
        None => format!("mitosis link 1\n{right}\n{until}\n{class}\n{path}"),
    }
}

/// The content of an address before its signature is verified.
struct Claim {
    key: ObjectKey,
    right: Right,
    holder: Option<String>,
    until: i64,
    signature: Vec<u8>,
}

impl Claim {
    fn read(path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.strip_prefix(MOUNT)?.split_once('?')?;
        let (class, path) = path.split_once('/')?;
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let (mut right, mut holder, mut until, mut signature, mut once) = (None, None, None, None, 0);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "upload" => right = Some(Right::Upload { length: value.parse().ok()? }),
                "replace" => right = Some(Right::Replace { length: value.parse().ok()?, nonce: 0 }),
                "nonce" => once = value.parse().ok()?,
                "download" if value.is_empty() => right = Some(Right::Download),
                "holder" => {
                    holder = Some(String::from_utf8(URL_SAFE_NO_PAD.decode(value.as_bytes()).ok()?).ok()?);
                }
                "until" => until = Some(value.parse().ok()?),
                "signature" => signature = Some(URL_SAFE_NO_PAD.decode(value.as_bytes()).ok()?),
                _ => {}
            }
        }
        if let Some(Right::Replace { nonce, .. }) = &mut right {
            *nonce = once;
        }
        let key = ObjectKey::from_stored(class_named(class)?, Cow::into_owned(path));
        Some(Self { key, right: right?, holder, until: until?, signature: signature? })
    }
}

const fn class_name(class: ObjectClass) -> &'static str {
    match class {
        ObjectClass::Artifacts => "artifacts",
        ObjectClass::Attachments => "attachments",
    }
}

fn class_named(name: &str) -> Option<ObjectClass> {
    [ObjectClass::Artifacts, ObjectClass::Attachments].into_iter().find(|class| class_name(*class) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_900_000_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn link(right: Right) -> (LinkSigner, ObjectKey, String) {
        let signer = LinkSigner::new(b"a secret of the test");
        let key = ObjectKey::from_stored(ObjectClass::Attachments, "lab/ü 100%/a+b&c?.bin".to_owned());
        let link = signer.sign(&key, right, None, HOUR, NOW);
        let Link::ViaCoordinator(address) = link else { panic!("not direct") };
        (signer, key, address)
    }

    #[test]
    fn holder_of_a_link_can_not_be_changed() {
        let (signer, key, anonymous) = link(Right::Download);
        let holder = "session 7 of\nann";
        let Link::ViaCoordinator(address) = signer.sign(&key, Right::Download, Some(holder), HOUR, NOW)
        else {
            panic!("not direct")
        };
        let access = SignedAccess { key, right: Right::Download, holder: Some(holder.to_owned()) };
        assert_eq!(signer.verify("GET", &address, NOW), Ok(access));
        let (named, encoded) = (address.find("&holder=").unwrap(), URL_SAFE_NO_PAD.encode(holder));
        let end = named + "&holder=".len() + encoded.len();
        let without = format!("{}{}", &address[..named], &address[end..]);
        assert_eq!(signer.verify("GET", &without, NOW), Err(LinkError::Invalid));
        let with = anonymous.replace("&signature", &format!("&holder={encoded}&signature"));
        assert_eq!(signer.verify("GET", &with, NOW), Err(LinkError::Invalid));
    }

    #[test]
    fn link_is_valid_until_its_last_second() {
        let (signer, key, upload) = link(Right::Upload { length: 12 });
        let last = NOW + HOUR - Duration::from_secs(1);
        let right = Right::Upload { length: 12 };
        assert_eq!(signer.verify("PUT", &upload, last), Ok(SignedAccess { key, right, holder: None }));
        assert_eq!(signer.verify("PUT", &upload, NOW + HOUR), Err(LinkError::Expired));
        let (signer, key, replace) = link(Right::Replace { length: 12, nonce: -7 });
        let right = Right::Replace { length: 12, nonce: -7 };
        assert_eq!(signer.verify("PUT", &replace, last), Ok(SignedAccess { key, right, holder: None }));
        let other = replace.replace("replace=", "upload=");
        assert_eq!(signer.verify("PUT", &other, last), Err(LinkError::Invalid), "the right is signed, too");
    }

    #[test]
    fn link_is_for_one_method() {
        let (signer, key, download) = link(Right::Download);
        let access = SignedAccess { key, right: Right::Download, holder: None };
        assert_eq!(signer.verify("HEAD", &download, NOW), Ok(access));
        assert_eq!(signer.verify("PUT", &download, NOW), Err(LinkError::WrongMethod { allowed: "GET" }));
        let (signer, _, upload) = link(Right::Upload { length: 1 });
        assert_eq!(signer.verify("GET", &upload, NOW), Err(LinkError::WrongMethod { allowed: "PUT" }));
    }

    #[test]
    fn changed_link_is_invalid_and_not_expired() {
        let (signer, _, upload) = link(Right::Upload { length: 12 });
        for at in 0..upload.len() {
            let mut bytes = upload.clone().into_bytes();
            bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).unwrap();
            let late = NOW + HOUR + HOUR;
            assert_eq!(signer.verify("PUT", &changed, late), Err(LinkError::Invalid), "{changed}");
        }
        let more = upload.replace("upload=12", "upload=12&upload=13");
        assert_eq!(signer.verify("PUT", &more, NOW), Err(LinkError::Invalid));
    }

    #[test]
    fn link_signed_with_another_secret_is_refused() {
        let (_, _, upload) = link(Right::Upload { length: 12 });
        let stranger = LinkSigner::new(b"another secret");
        assert_eq!(stranger.verify("PUT", &upload, NOW), Err(LinkError::Invalid));
    }
}

//! The keys of groups that sign notifications. They are never logged.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mitosis_domain::entropy::Entropy;
use mitosis_domain::ids::GroupId;
use mitosis_protocol::notify::KEY_PREFIX;
use mitosis_store::StoreError;
use mitosis_store::ops::Actor;
use mitosis_store::ops::webhooks::WebhookKey;
use std::time::Duration;

use crate::app::App;

/// Random bytes of a key.
const KEY_BYTES: usize = 32;
/// How long the key before a change also signs, so that receivers can change it, too.
const OVERLAP: Duration = Duration::from_hours(24);

/// Draws a key, in the form in which it is stored and shown.
pub(crate) fn draw(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; KEY_BYTES];
    entropy.fill(&mut bytes);
    format!("{KEY_PREFIX}{}", STANDARD.encode(bytes))
}

/// The keys that sign a request, the current one first.
pub(super) struct SigningKeys(Vec<hmac::Key>);

/// The keys of a group. The first is created when it is needed.
pub(super) async fn of_group(app: &App, group: GroupId) -> Result<SigningKeys, StoreError> {
    let now = app.now();
    let stored = app.store.webhook_key(Actor::System, group, &draw(&*app.entropy), now).await?;
    let keys = stored.into_iter().flat_map(|WebhookKey { secret, previous, created_at }| {
        let previous = previous.filter(|_| now < created_at + OVERLAP);
        std::iter::once(secret).chain(previous)
    });
    Ok(SigningKeys(keys.filter_map(|key| parse(&key)).collect()))
}

fn parse(text: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(text.strip_prefix(KEY_PREFIX)?).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

impl SigningKeys {
    /// The signatures of a request, as in its header.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let text = format!("{id}.{seconds}.{body}");
        let sign = |key| format!("v1,{}", STANDARD.encode(hmac::sign(key, text.as_bytes())));
        self.0.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use mitosis_domain::entropy::OsEntropy;

    use super::*;

    /// The example in the specification of Standard Webhooks.
    #[test]
    fn signature_is_that_of_the_standard() {
        let key = parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = SigningKeys(vec![key]).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn drawn_keys_differ_and_can_sign() {
        let (one, other) = (draw(&OsEntropy), draw(&OsEntropy));
        assert_ne!(one, other);
        assert!(parse(&one).is_some() && one.starts_with(KEY_PREFIX));
    }
}

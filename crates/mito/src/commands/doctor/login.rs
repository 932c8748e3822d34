//! Checks that the coordinator accepts the user's token or password.

use mitosis_client::{Client, ClientError, EarlierTokens, UserClient};
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::{Timestamp, duration};
use secrecy::{ExposeSecret as _, SecretString};

use super::context::DoctorContext;
use super::finding::{Finding, chain};
use crate::login::credentials::CredentialsFile;
use crate::login::identity;
use crate::process::exit::Exit;

const CHECK: &str = "login";
const LOG_IN: &str = "log in again with `mito login`";

pub(super) async fn check(context: &mut DoctorContext<'_>) -> Finding {
    let client = match context.coordinator(CHECK) {
        Ok((client, _)) => client.clone(),
        Err(skip) => return skip,
    };
    match identity::configured_token(&context.config) {
        Ok(None) => {}
        Ok(Some(token)) => {
            let (finding, user) = with_configured_token(&client, token).await;
            context.set_user(user).await;
            return finding;
        }
        Err(failure) => return Finding::fail(CHECK, failure.exit(), failure.in_one_line()),
    }
    let file = CredentialsFile::new(context.config.credentials.clone(), &context.config.address);
    // Another check reports a file that cannot be read.
    let kept = file.find(context.config.user.as_deref()).ok().flatten();
    let (finding, user) = match (kept, &context.config.user, &context.config.password) {
        (Some((name, token)), _, _) => with_token(&client, &name, &token).await,
        (None, Some(name), Some(password)) => with_password(&client, name, password).await,
        (None, ..) => {
            let text = match &context.config.user {
                Some(name) => format!("no stored token for `{name}`, and no configured password"),
                None => "not logged in".to_owned(),
            };
            return Finding::fail(CHECK, Exit::Auth, text).hint("log in with `mito login`");
        }
    };
    context.set_user(user).await;
    finding
}

/// Checks the configured token; the coordinator names its owner.
async fn with_configured_token(client: &Client, token: SecretString) -> (Finding, Option<UserClient>) {
    let user = client.with_user_token(token);
    match user.auth().await {
        Ok(name) => {
            (Finding::ok(CHECK, format!("logged in as `{name}` with the configured token")), Some(user))
        }
        Err(error) if error.status() == Some(401) => (
            Finding::fail(
                CHECK,
                Exit::Auth,
                "the configured token (MITO_TOKEN, `token` or `token_path`) is not valid",
            )
            .hint("`mito client tokens list` shows your tokens; unset it to log in with a password"),
            None,
        ),
        Err(error) => (Finding::fail(CHECK, Exit::Network, chain(&error)).hint("try again"), None),
    }
}

async fn with_token(client: &Client, name: &str, token: &SecretString) -> (Finding, Option<UserClient>) {
    let user = client.with_user_token(token.clone());
    let end = end_of(token.expose_secret());
    match user.auth().await {
        Ok(there) if there == name => {
            let now = SystemClock.now();
            let rest =
                end.map(|end| duration::span(std::time::Duration::from_secs(end.since(now).as_secs())));
            let rest = rest.map(|rest| format!("; the token expires in {rest}")).unwrap_or_default();
            (Finding::ok(CHECK, format!("logged in as `{name}`{rest}")), Some(user))
        }
        Ok(there) => {
            let text = format!("the stored token of `{name}` belongs to `{there}`");
            (Finding::fail(CHECK, Exit::Auth, text).hint(LOG_IN), None)
        }
        Err(error) => (refused(name, &error, end), None),
    }
}

/// Logs in with the configured password. Other sessions are kept, and the token is discarded.
async fn with_password(
    client: &Client,
    name: &str,
    password: &SecretString,
) -> (Finding, Option<UserClient>) {
    match client.login(name, password, EarlierTokens::Retain).await {
        Ok(token) => {
            let text = format!("logged in as `{name}` with the configured password");
            (Finding::ok(CHECK, text), Some(client.with_user_token(token)))
        }
        Err(error) => {
            let hint = error.hint().unwrap_or("check the configured user and password").to_owned();
            (Finding::fail(CHECK, Exit::Auth, chain(&error)).hint(hint), None)
        }
    }
}

fn refused(name: &str, error: &ClientError, end: Option<Timestamp>) -> Finding {
    let fail = |text: String| Finding::fail(CHECK, Exit::Auth, text);
    match (error.status(), end) {
        (Some(401), Some(end)) if end <= SystemClock.now() => {
            fail(format!("the token of `{name}` expired at {end}")).hint(LOG_IN)
        }
        (Some(401), Some(_)) => fail(format!(
            "the token of `{name}` is rejected, although it has not expired: a later login without --retain or a \
             password change ended it, or it belongs to another coordinator"
        ))
        .hint(LOG_IN),
        (Some(401), None) => fail(format!("the stored value for `{name}` is not a token")).hint(LOG_IN),
        (Some(403), _) => fail(chain(error)).hint("ask an administrator"),
        _ => Finding::fail(CHECK, Exit::Network, chain(error)).hint("try again"),
    }
}

/// The expiry time in a session token, a JWT; none for other texts.
fn end_of(token: &str) -> Option<Timestamp> {
    let inner = String::from_utf8(from_base64(token)?).ok()?;
    let claims = from_base64(inner.split('.').nth(1)?)?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(Timestamp::from_unix_micros(claims.get("exp")?.as_i64()?.checked_mul(1_000_000)?))
}

/// Decodes base64 in either alphabet.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_read_from_the_token() {
        // {"alg":"EdDSA"} . {"sub":"ann","exp":1928423045} . sig
        let token =
            "ZXlKaGJHY2lPaUpGWkVSVFFTSjkuZXlKemRXSWlPaUpoYm00aUxDSmxlSEFpT2pFNU1qZzBNak13TkRWOS5jMmxu";
        assert_eq!(end_of(token), Some(Timestamp::from_unix_micros(1_928_423_045_000_000)));
        for other in ["", "mito_pat_abc", "a.b.c", "a.!.c", "a.e30.c"] {
            assert_eq!(end_of(other), None, "{other}");
        }
    }
}

//! Checks that live states can be read from Redis, if it is configured.

use std::io;
use std::time::Duration;

use mitosis_protocol::doctor::RedisContact;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use url::Url;

use super::context::DoctorContext;
use super::finding::Finding;

const CHECK: &str = "redis";
const TIMEOUT: Duration = Duration::from_secs(5);

/// Only watching needs Redis, so its problems are warnings.
pub(super) async fn check(context: &DoctorContext<'_>) -> Finding {
    let user = match context.user(CHECK) {
        Ok(user) => user,
        Err(skip) => return skip,
    };
    let Ok(reply) = user.client.redis().await else {
        return Finding::skip(CHECK, "the coordinator does not report its address");
    };
    if let Some(contact) = user.admin.as_ref().and_then(|admin| admin.redis.as_ref())
        && let Some(problem) = problem(contact)
    {
        return problem;
    }
    match reply.url {
        None => Finding::ok(CHECK, "not configured, which is fine"),
        Some(url) => match tokio::time::timeout(TIMEOUT, ping(&url)).await {
            Ok(Ok(())) => Finding::ok(CHECK, "live states are available on this machine"),
            Ok(Err(error)) => from_here(&error.to_string()),
            Err(_) => from_here("no answer"),
        },
    }
}

fn from_here(why: &str) -> Finding {
    Finding::warn(CHECK, format!("live states are not available on this machine: {why}")).hint(
        "redis_url of the coordinator must be an address that workers and users can reach; without it, \
         /v1/events has the states, too",
    )
}

/// The coordinator's report about its Redis.
fn problem(contact: &RedisContact) -> Option<Finding> {
    let (text, hint) = match contact {
        RedisContact::Refused { code } if code == "NOPERM" => (
            "the user in the coordinator's redis_url may not create the users of workers and clients (NOPERM)".to_owned(),
            "grant that user `+acl`, or create both users yourself and set redis_skip_acl_rules and their passwords",
        ),
        RedisContact::Refused { code } => (
            format!("Redis refuses the coordinator ({code})"),
            "check user and password in redis_url of the coordinator",
        ),
        RedisContact::Unreachable => (
            "the coordinator cannot reach its Redis".to_owned(),
            "check redis_url of the coordinator, and that Redis runs",
        ),
        _ => return None,
    };
    Some(Finding::warn(CHECK, text).hint(hint))
}

/// Logs in as the client in the address, and waits for a reply.
async fn ping(url: &str) -> io::Result<()> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, url.port().unwrap_or(6379))).await?;
    let mut stream = BufReader::new(stream);
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    for (words, wanted) in [(vec!["AUTH", &user, &password], "+OK"), (vec!["PING"], "+PONG")] {
        stream.write_all(command(&words).as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim_end() != wanted {
            // The first word is the reason; the rest could repeat what was sent.
            let reason = line.trim_start_matches('-').split_whitespace().next().unwrap_or("no answer");
            return Err(io::Error::other(format!("it answers {reason}")));
        }
    }
    Ok(())
}

/// Encodes a command in the Redis protocol: the number of arguments, and each with its length.
fn command(words: &[&str]) -> String {
    words
        .iter()
        .fold(format!("*{}\r\n", words.len()), |text, word| format!("{text}${}\r\n{word}\r\n", word.len()))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn report_of_the_coordinator_is_shown_with_a_hint() {
        assert!(problem(&RedisContact::Connected).is_none());
        for contact in [
            RedisContact::Unreachable,
            RedisContact::Refused { code: "NOPERM".to_owned() },
            RedisContact::Refused { code: "WRONGPASS".to_owned() },
        ] {
            assert_eq!(problem(&contact).expect("problem").verdict(), Verdict::Warn);
        }
    }

    #[test]
    fn redis_command_has_the_length_of_each_argument() {
        assert_eq!(command(&["AUTH", "ü", ""]), "*3\r\n$4\r\nAUTH\r\n$2\r\nü\r\n$0\r\n\r\n");
    }
}

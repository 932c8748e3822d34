//! Do links to stored bytes lead somewhere from here, and back?

use mitosis_client::TransferError;
use mitosis_protocol::doctor::DoctorReply;

use super::context::{DoctorContext, User, is_loopback};
use super::finding::{Finding, chain};
use crate::process::exit::Exit;

const CHECK: &str = "objects";

pub(super) async fn check(context: &DoctorContext<'_>) -> Finding {
    let (user, told) = match context.reply(CHECK) {
        Ok(told) => told,
        Err(skip) => return skip,
    };
    match round_trip(user, told).await {
        Ok(true) => Finding::ok(CHECK, "a few bytes went to the object store and came back"),
        Ok(false) => Finding::fail(CHECK, Exit::Failure, "other bytes came back than were sent").hint(
            "something between here and the object store answers in its place; look for a cache or proxy",
        ),
        Err(error) => judge(&error, &context.config.address, &told.probe.upload),
    }
}

async fn round_trip(user: &User, told: &DoctorReply) -> Result<bool, TransferError> {
    let client = user.client.client();
    client.upload_probe(&told.probe.upload).await?;
    client.download_probe(&told.probe.download).await
}

fn judge(error: &TransferError, coordinator: &str, link: &str) -> Finding {
    let (exit, hint) = match error {
        TransferError::Unreachable { .. } if is_loopback(link) && !is_loopback(coordinator) => (
            Exit::Network,
            "the link leads to this machine itself: set s3_public_url of the coordinator to an address of the object \
             store that workers and users can reach",
        ),
        TransferError::Unreachable { .. } => (
            Exit::Network,
            "s3_public_url of the coordinator, or s3_url without it, must be an address that this machine can reach",
        ),
        TransferError::Refused { status: 403, .. } => (
            Exit::Failure,
            "the signature was not accepted: check s3_access_key and s3_secret_key, the clocks, and that a proxy \
             before the store passes the Host header on as it came",
        ),
        TransferError::Refused { status: 404, .. } => {
            (Exit::Failure, "s3_public_url leads to something that does not have the buckets of s3_url")
        }
        TransferError::Refused { .. } => {
            (Exit::Failure, "the log of the object store, or of the proxy before it, has the cause")
        }
        TransferError::Silent { .. } => {
            (Exit::Network, "try again; if it stays, look at the load of the object store")
        }
        TransferError::File { .. } => (Exit::Failure, "try again"),
    };
    Finding::fail(CHECK, exit, chain(error)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_comes_with_what_to_check() {
        let told = |status| {
            let error = TransferError::Refused { status, message: "no".to_owned() };
            judge(&error, "http://host", "http://store").to_string()
        };
        assert!(
            told(403).contains("clocks") && told(404).contains("s3_public_url") && told(502).contains("log")
        );
    }
}

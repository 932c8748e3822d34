//! Checks that links to stored objects work on this machine.

use mitosis_client::TransferError;
use mitosis_protocol::doctor::DoctorReply;

use super::context::{DoctorContext, User, is_loopback};
use super::finding::{Finding, chain};
use crate::process::exit::Exit;

const CHECK: &str = "objects";

pub(super) async fn check(context: &DoctorContext<'_>) -> Finding {
    let (user, report) = match context.reply(CHECK) {
        Ok(report) => report,
        Err(skip) => return skip,
    };
    match round_trip(user, report).await {
        Ok(true) => Finding::ok(CHECK, "a probe object was uploaded and downloaded"),
        Ok(false) => {
            Finding::fail(CHECK, Exit::Failure, "the downloaded probe object differs from the uploaded one")
                .hint("a cache or a proxy may answer in place of the object store")
        }
        Err(error) => judge(&error, &context.config.address, &report.probe.upload),
    }
}

async fn round_trip(user: &User, report: &DoctorReply) -> Result<bool, TransferError> {
    let client = user.client.client();
    client.upload_probe(&report.probe.upload).await?;
    client.download_probe(&report.probe.download).await
}

fn judge(error: &TransferError, coordinator: &str, link: &str) -> Finding {
    let (exit, hint) = match error {
        TransferError::Unreachable { .. } if is_loopback(link) && !is_loopback(coordinator) => (
            Exit::Network,
            "the link points to this machine: set s3_public_url of the coordinator to an address of the object \
             store that workers and users can reach",
        ),
        TransferError::Unreachable { .. } => (
            Exit::Network,
            "s3_public_url of the coordinator, or s3_url without it, must be an address that this machine can reach",
        ),
        TransferError::Refused { status: 403, .. } => (
            Exit::Failure,
            "the signature was not accepted: check s3_access_key and s3_secret_key, the clocks, and that a proxy \
             in front of the store keeps the Host header",
        ),
        TransferError::Refused { status: 404, .. } => {
            (Exit::Failure, "s3_public_url points to a service without the buckets of s3_url")
        }
        TransferError::Refused { .. } => {
            (Exit::Failure, "see the log of the object store, or of the proxy in front of it")
        }
        TransferError::Silent { .. } => {
            (Exit::Network, "try again; if it persists, check the load of the object store")
        }
        TransferError::File { .. } => (Exit::Failure, "try again"),
    };
    Finding::fail(CHECK, exit, chain(error)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_hint() {
        let report = |status| {
            let error = TransferError::Refused { status, message: "no".to_owned() };
            judge(&error, "http://host", "http://store").to_string()
        };
        assert!(
            report(403).contains("clocks")
                && report(404).contains("s3_public_url")
                && report(502).contains("log")
        );
    }
}

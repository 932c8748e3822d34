//! Checks that a coordinator answers at the configured address.

use std::io::ErrorKind;
use std::time::Duration;

use mitosis_client::ClientError;
use tokio::net::{TcpStream, lookup_host};
use url::Url;

use super::context::DoctorContext;
use super::finding::{Finding, chain};
use crate::config::Origin;
use crate::process::exit::Exit;

const CHECK: &str = "address";
/// Time limit of the connection attempt that finds the cause of a failure.
const TIMEOUT: Duration = Duration::from_secs(5);
const WHERE_TO_SET: &str =
    "set it with -c, with MITO_COORDINATOR_ADDR, or as coordinator_addr in a config file";

pub(super) async fn check(context: &mut DoctorContext<'_>) -> Finding {
    let address = context.config.address.clone();
    let client = match context.config.client() {
        Ok(client) => client,
        Err(failure) => {
            return Finding::fail(CHECK, Exit::Config, failure.in_one_line()).hint(WHERE_TO_SET);
        }
    };
    match client.check_address().await {
        Ok(look) => match &look.health {
            Some(_) => {
                context.coordinator = Some((client, look));
                let origin = match &context.config.origin {
                    Some(origin @ Origin::Instance(_)) => format!(", from {origin}"),
                    _ => String::new(),
                };
                Finding::ok(CHECK, format!("a coordinator answers at {address}{origin}"))
            }
            None => Finding::fail(
                CHECK,
                Exit::Network,
                format!("{address} answers with status {}, but is not a coordinator", look.status),
            )
            .hint(format!("check host and port; {WHERE_TO_SET}")),
        },
        Err(error) => unreachable(&address, &error).await,
    }
}

/// Finds the reason why an address is unreachable: name resolution, the connection, or the server.
async fn unreachable(address: &str, error: &ClientError) -> Finding {
    let fail = |text: String| Finding::fail(CHECK, Exit::Network, text);
    let unexplained = || fail(chain(error)).hint("check the address and the network");
    let url = Url::parse(address).ok();
    let Some((host, port)) =
        url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
    else {
        return unexplained();
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Err(error) = lookup_host((bare, port)).await {
        return fail(format!("cannot resolve the name `{host}`: {error}"))
            .hint(format!("check its spelling and the name servers of this machine; {WHERE_TO_SET}"));
    }
    match tokio::time::timeout(TIMEOUT, TcpStream::connect((bare, port))).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            fail(format!("nothing listens on port {port} of {host}"))
                .hint(format!("start the coordinator, or check the port; {WHERE_TO_SET}"))
        }
        Err(_) => fail(format!("{host} does not answer on port {port}"))
            .hint("a firewall may drop the packets; check the address, too"),
        Ok(_) => unexplained(),
    }
}

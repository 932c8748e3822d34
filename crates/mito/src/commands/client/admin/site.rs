//! Lists of everything on the site: `mito admin users`, `groups`, `jobs`, `workers` and `usage`.

use std::collections::BTreeMap;

use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_protocol::admin::UsageRow;
use mitosis_protocol::job::{JobsRequest, MAX_PAGE};

use crate::cli::client::admin::{AdminJobsArgs, UsageArgs, UsageBy};
use crate::login::identity::Identity;
use crate::process::failure::Failure;
use crate::show::{JobShown, Output, SiteGroup, SiteUser, SiteWorkerShown, UsageShown};

pub(super) async fn users(identity: &Identity, out: &Output) -> Result<(), Failure> {
    let mut rows = out.rows();
    let mut after = None;
    loop {
        let page = identity.client.all_users(after).await?;
        page.users.into_iter().try_for_each(|user| rows.push(&SiteUser::from(user)))?;
        after = page.next;
        if after.is_none() {
            return rows.finish();
        }
    }
}

pub(super) async fn groups(identity: &Identity, out: &Output) -> Result<(), Failure> {
    let mut rows = out.rows();
    let mut after = None;
    loop {
        let page = identity.client.all_groups(after).await?;
        page.groups.into_iter().try_for_each(|group| rows.push(&SiteGroup::from(group)))?;
        after = page.next;
        if after.is_none() {
            return rows.finish();
        }
    }
}

pub(super) async fn workers(identity: &Identity, out: &Output) -> Result<(), Failure> {
    let mut rows = out.rows();
    let mut after = None;
    loop {
        let page = identity.client.all_workers(after).await?;
        page.workers.into_iter().try_for_each(|worker| rows.push(&SiteWorkerShown::from(worker)))?;
        after = page.next;
        if after.is_none() {
            return rows.finish();
        }
    }
}

pub(super) async fn jobs(args: &AdminJobsArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let mut rows = out.rows();
    let (mut left, mut before) = (args.limit.get(), None);
    while left > 0 {
        let request = JobsRequest {
            creator: args.creator.clone(),
            group: args.group.clone(),
            active: args.active,
            before,
            limit: Some(left.min(MAX_PAGE)),
            ..JobsRequest::default()
        };
        let page = identity.client.all_jobs(&request).await?;
        left = left.saturating_sub(page.jobs.len() as u64);
        page.jobs.into_iter().try_for_each(|job| rows.push(&JobShown::from(job)))?;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    rows.finish()
}

pub(super) async fn usage(args: &UsageArgs, identity: &Identity, out: &Output) -> Result<(), Failure> {
    let since = SystemClock.now().saturating_sub(args.last);
    let reply = identity.client.usage(Some(since)).await?;
    let mut rows = added_up(reply.usage, args.by);
    rows.sort_by_key(|row| std::cmp::Reverse(row.slot_seconds()));
    out.all(&rows)
}

/// Adds up the rows of each user, or of each group.
fn added_up(rows: Vec<UsageRow>, by: Option<UsageBy>) -> Vec<UsageShown> {
    let mut sums: BTreeMap<(Option<String>, Option<String>), UsageShown> = BTreeMap::new();
    for row in rows {
        let key = match by {
            None => (Some(row.username), Some(row.group_name)),
            Some(UsageBy::User) => (Some(row.username), None),
            Some(UsageBy::Group) => (None, Some(row.group_name)),
        };
        sums.entry(key.clone()).or_insert_with(|| UsageShown::new(key.0, key.1)).add(&row.counts);
    }
    sums.into_values().collect()
}

#[cfg(test)]
mod tests {
    use mitosis_protocol::admin::UsageCounts;

    use super::*;

    #[test]
    fn usage_is_added_up_by_user_or_group() {
        let row = |user: &str, group: &str, slot_seconds| UsageRow {
            username: user.to_owned(),
            group_name: group.to_owned(),
            counts: UsageCounts { slot_seconds, succeeded: 1, ..UsageCounts::default() },
        };
        let rows = || vec![row("ann", "lab", 1), row("ann", "ann", 2), row("raj", "lab", 4)];
        let seconds = |by| added_up(rows(), by).iter().map(UsageShown::slot_seconds).collect::<Vec<_>>();
        assert_eq!(seconds(None), [2, 1, 4]);
        assert_eq!(seconds(Some(UsageBy::User)), [3, 4]);
        assert_eq!(seconds(Some(UsageBy::Group)), [2, 5]);
    }
}

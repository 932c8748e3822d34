//! `mito client workers`.

use clap::{Args, Subcommand};
use mitosis_protocol::worker::{QueryWorkersRequest, ShutdownOp, ShutdownWorkersRequest, WorkerFilter};
use mitosis_protocol::{Role, Uuid};

use super::filter::{refuse_empty, some, words};
use crate::cli::value_parsers;
use crate::process::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// Show a worker
    Get {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
    },
    /// Query workers
    Query(QueryArgs),
    /// Stop a worker
    Cancel {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
        #[command(flatten)]
        how: StopArgs,
    },
    /// Stop matching workers
    CancelMany(CancelManyArgs),
    /// Stop the given workers
    CancelList {
        /// The workers
        #[arg(value_name = "UUID", value_delimiter = ',', value_parser = value_parsers::worker)]
        uuids: Vec<Uuid>,
        #[command(flatten)]
        how: StopArgs,
    },
    /// Let a worker finish its tasks and take no others; it stays registered
    Drain {
        #[command(flatten)]
        node: NodeArgs,
        /// Why, for display
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Let a drained worker take tasks again
    Resume {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Replace the tags of a worker
    UpdateTags {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
        /// The new tags
        #[arg(value_name = "TAG", value_delimiter = ',')]
        tags: Vec<String>,
    },
    /// Replace the labels of a worker
    UpdateLabels {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
        /// The new labels
        #[arg(value_name = "LABEL", value_delimiter = ',')]
        labels: Vec<String>,
    },
    /// Set the roles of groups on a worker
    UpdateRoles {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
        /// `read`, `write` or `admin` for each group
        #[arg(value_name = "GROUP:ROLE", value_parser = value_parsers::relation)]
        roles: Vec<(String, Role)>,
    },
    /// Remove a worker from groups
    RemoveRoles {
        /// The worker
        #[arg(value_parser = value_parsers::worker)]
        uuid: Uuid,
        /// The groups
        #[arg(value_name = "GROUP")]
        groups: Vec<String>,
    },
}

/// The filter options of commands on many workers.
#[derive(Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only workers that serve this group (default: your own)
    #[arg(short, long)]
    group: Option<String>,
    /// Only workers on which the group has one of these roles
    #[arg(short, long, num_args = 0.., value_delimiter = ',', value_parser = value_parsers::optional(value_parsers::role))]
    role: Option<Vec<Option<Role>>>,
    /// Only workers with all of these tags
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    tags: Option<Vec<String>>,
    /// Only workers with all of these labels
    #[arg(short, long, num_args = 0.., value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// Only workers started by this user
    #[arg(long)]
    creator: Option<String>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Show all details
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Only print the count
    #[arg(long)]
    count: bool,
}

/// The workers of a machine.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Host name, or the UUID of one worker
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// Only workers that serve this group (default: your own)
    #[arg(short, long)]
    group: Option<String>,
}

impl NodeArgs {
    pub(crate) fn filter(&self) -> WorkerFilter {
        WorkerFilter { group_name: self.group.clone(), ..WorkerFilter::default() }
    }
}

/// How to stop a worker.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StopArgs {
    /// Stop immediately, and requeue the tasks
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CancelManyArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    how: StopArgs,
}

impl FilterArgs {
    fn roles(&self) -> Vec<Role> {
        self.role.iter().flatten().flatten().copied().collect()
    }

    fn filter(&self) -> WorkerFilter {
        WorkerFilter {
            group_name: self.group.clone(),
            role: some(self.roles()),
            tags: words(self.tags.as_ref()),
            labels: words(self.labels.as_ref()),
            creator_username: self.creator.clone(),
        }
    }
}

impl CancelManyArgs {
    /// Refuses an option without a value: it would select everything.
    pub(crate) fn refuse_empty(&self) -> Result<(), Failure> {
        let FilterArgs { role, tags, labels, .. } = &self.filter;
        let empty = |list: &Option<Vec<String>>| list.is_some() && words(list.as_ref()).is_none();
        let lists = [
            ("--role", role.is_some() && self.filter.roles().is_empty()),
            ("--tags", empty(tags)),
            ("--labels", empty(labels)),
        ];
        match lists.into_iter().find(|(_, is_empty)| *is_empty) {
            Some((name, _)) => Err(refuse_empty(name)),
            None => Ok(()),
        }
    }
}

impl QueryArgs {
    pub(crate) fn query(&self) -> QueryWorkersRequest {
        QueryWorkersRequest {
            filter: self.filter.filter(),
            count: self.count,
            ..QueryWorkersRequest::default()
        }
    }
}

impl StopArgs {
    pub(crate) fn op(self) -> ShutdownOp {
        match self.force {
            true => ShutdownOp::Force,
            false => ShutdownOp::Graceful,
        }
    }
}

impl CancelManyArgs {
    pub(crate) fn request(&self) -> ShutdownWorkersRequest {
        ShutdownWorkersRequest { filter: self.filter.filter(), op: self.how.op() }
    }
}

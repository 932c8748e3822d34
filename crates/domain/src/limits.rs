//! The limits of all inputs. Each is generous for normal use, and small enough that no single request can harm
//! others.

use std::time::Duration;

/// Most tags or labels in one set.
pub const MAX_TAGS: usize = 256;
/// Bytes in one tag or label.
pub const MAX_TAG_BYTES: usize = 255;
/// Bytes in one argument or `KEY=value` of a command. Linux refuses 128 KiB (`MAX_ARG_STRLEN`).
pub const MAX_ARGUMENT_BYTES: usize = 128 * 1024 - 1;
/// Bytes in all arguments and variables of a command together. Linux allows a quarter of the stack, usually 2
/// MiB, which also has to hold the worker's own environment.
pub const MAX_COMMAND_BYTES: usize = 1_500_000;
/// Most files that one task may fetch.
pub const MAX_RESOURCES: usize = 1024;
/// Most texts that a task brings as files.
pub const MAX_FILES: usize = 16;
/// Bytes in the texts that a task brings as files, together. Each fits into one argument of a command.
pub const MAX_FILES_BYTES: usize = 64 * 1024;
/// Bytes in the directory of a task (`PATH_MAX`).
pub const MAX_DIRECTORY_BYTES: usize = 4096;
/// Most sweep parameters of one task.
pub const MAX_PARAMS: usize = 256;
/// Bytes in the names and values of a task's parameters together.
pub const MAX_PARAMS_BYTES: usize = 256 * 1024;
/// Bytes in `group/key` of an attachment, one less than the limit of S3.
pub const MAX_OBJECT_KEY_BYTES: usize = 1023;
/// How long an idempotency key is kept at least; a submission is normally repeated within minutes.
pub const IDEMPOTENCY_KEY_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long notifications about ended jobs are kept.
pub const NOTIFICATION_LIFE: Duration = Duration::from_hours(7 * 24);
/// How long the removal of a worker is remembered, so that it does not register again by itself.
pub const DEPARTURE_LIFE: Duration = Duration::from_hours(30 * 24);
/// Characters in the host name of a worker; a name in the DNS has at most 253.
pub const MAX_HOST_CHARS: usize = 253;
/// Bytes in the name of a machine or of a boot.
pub const MAX_MACHINE_BYTES: usize = 128;
/// Longest timeout of a task: a hundred years.
pub const MAX_TIMEOUT: Duration = Duration::from_hours(100 * 8_766);
/// Bytes in the body of a request.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// Bytes in the body of a batch submission: room for 100,000 short tasks.
pub const MAX_BATCH_BODY_BYTES: usize = 256 * 1024 * 1024;
/// Most tasks in one submission.
pub const MAX_TASKS: usize = 100_000;
/// Approximate bytes in one page of rows. With short commands, it holds [`MAX_ROWS`]. A larger page ends early.
pub const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of the target of an audit entry; the rest is cut off.
pub const MAX_AUDIT_TARGET_BYTES: usize = 1024;
/// Most rows in one reply, and most items of a batch that is selected by a filter.
pub const MAX_ROWS: u64 = 10_000;
/// How many bytes of an output stream a worker keeps, unless it is configured otherwise.
pub const MAX_OUTPUT_BYTES: u64 = 1 << 30;
/// Why such a command was stopped; the protocol has no message for it.
pub const TOO_MUCH_OUTPUT: &str = "for writing more output than its worker keeps";
/// Most tasks that one worker may run at once.
pub const MAX_SLOTS: u32 = 4_096;
/// Matches of a query are counted up to this number.
pub const MAX_COUNTED: u64 = 1_000_000;
/// Bytes in an idempotency key.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Storage quota of a new group, in bytes (semantics §2).
pub const DEFAULT_STORAGE_QUOTA: i64 = 16_000_000_000;
/// How many groups a new user may create, including the personal one (semantics §2).
pub const DEFAULT_GROUP_QUOTA: i32 = 8;
/// How long a worker may spend on resources and on watching, in addition to the timeout.
pub const PREPARATION_ALLOWANCE: Duration = Duration::from_mins(30);
/// How many attempts a task may lose with their workers. The last one cancels it.
pub const MAX_LOST_ATTEMPTS: i64 = 5;
/// How long a running task may exceed its timeout before it is ended (HTTP contract §12.4).
pub const OVERDUE_GRACE: Duration = Duration::from_mins(1);

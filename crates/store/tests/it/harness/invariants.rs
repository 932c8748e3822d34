//! Invariants of every database, checked with statements that bypass the store.

use super::Harness;
use crate::backend::Backend;

/// The name of each rule, and a query that counts the rows that violate it.
const RULES: [(&str, &str); 19] = [
    (
        "a task is in exactly one state table",
        "SELECT count(*) FROM task t WHERE
            (SELECT count(*) FROM pending WHERE task_id = t.id) +
            (SELECT count(*) FROM ready WHERE task_id = t.id) +
            (SELECT count(*) FROM lease WHERE task_id = t.id) +
            (SELECT count(*) FROM done WHERE task_id = t.id) <> 1",
    ),
    (
        "a task waits in its lane",
        "SELECT count(*) FROM ready r JOIN task t ON t.id = r.task_id WHERE r.lane_id <> t.lane_id",
    ),
    (
        "a lane has the group and the creator of its tasks",
        "SELECT count(*) FROM task t JOIN lane l ON l.id = t.lane_id
            WHERE l.group_id <> t.group_id OR l.creator_id <> t.creator_id",
    ),
    (
        "a lease counts for the limits of its task",
        "SELECT count(*) FROM lease l JOIN task t ON t.id = l.task_id JOIN lane n ON n.id = t.lane_id
            WHERE coalesce(l.limit_set_id, 0) <> n.limit_set_id",
    ),
    (
        "a lane has a request that exists",
        "SELECT count(*) FROM lane WHERE request_id <> 0 AND request_id NOT IN (SELECT id FROM resource_request)",
    ),
    (
        "a group is charged for what it has recorded",
        "SELECT count(*) FROM groups g WHERE g.storage_used <>
            (SELECT coalesce(sum(a.size), 0) FROM artifact a JOIN task t ON t.id = a.task_id
             WHERE t.group_id = g.id) +
            (SELECT coalesce(sum(size), 0) FROM attachment WHERE group_id = g.id)",
    ),
    (
        "a follow-up waits for an attempt that lives",
        "SELECT count(*) FROM pending p WHERE NOT EXISTS
            (SELECT 1 FROM lease WHERE task_id = p.upstream_task_id)",
    ),
    (
        "an invisible archive belongs to a running attempt",
        "SELECT count(*) FROM artifact a WHERE NOT visible AND NOT EXISTS
            (SELECT 1 FROM lease l WHERE l.task_id = a.task_id AND l.epoch = a.epoch)
            AND NOT EXISTS (SELECT 1 FROM attempt t WHERE t.task_id = a.task_id AND t.epoch = a.epoch)",
    ),
    (
        "a job counts its tasks",
        "SELECT count(*) FROM job j WHERE
            (SELECT coalesce(sum(waiting), 0) FROM job_count c WHERE c.job_id = j.id) <>
                (SELECT count(*) FROM ready r JOIN task t ON t.id = r.task_id WHERE t.job_id = j.id)
            OR (SELECT coalesce(sum(blocked), 0) FROM job_count c WHERE c.job_id = j.id) <>
                (SELECT count(*) FROM ready r JOIN task t ON t.id = r.task_id WHERE t.job_id = j.id AND r.blocked <> 0)
            OR (SELECT coalesce(sum(running), 0) FROM job_count c WHERE c.job_id = j.id) <>
                (SELECT count(*) FROM lease l JOIN task t ON t.id = l.task_id WHERE t.job_id = j.id)
            OR (SELECT coalesce(sum(succeeded), 0) FROM job_count c WHERE c.job_id = j.id) <>
                (SELECT count(*) FROM done d JOIN task t ON t.id = d.task_id WHERE t.job_id = j.id
                 AND d.state = 3 AND d.exit_status = 0 AND coalesce(d.message, -1) NOT IN (1, 2, 6, 10))
            OR (SELECT coalesce(sum(cancelled), 0) FROM job_count c WHERE c.job_id = j.id) <>
                (SELECT count(*) FROM done d JOIN task t ON t.id = d.task_id WHERE t.job_id = j.id
                 AND d.message IN (6, 10))
            OR (SELECT coalesce(sum(failed + timed_out + succeeded + cancelled), 0) FROM job_count c
                WHERE c.job_id = j.id) <>
                (SELECT count(*) FROM done d JOIN task t ON t.id = d.task_id WHERE t.job_id = j.id)",
    ),
    ("a blocked task is held", "SELECT count(*) FROM ready WHERE blocked <> 0 AND NOT held"),
    (
        "a blocked task waits for one that has not ended",
        "SELECT count(*) FROM ready r JOIN task t ON t.id = r.task_id JOIN job j ON j.id = t.job_id
            JOIN job_dependency x ON x.job_id = j.id JOIN job n ON n.id = x.needed_id
         WHERE x.kind = 2 AND (r.blocked & x.mask) <> 0
            AND NOT EXISTS (SELECT 1 FROM ready WHERE task_id = n.first_id + t.id - j.first_id)
            AND NOT EXISTS (SELECT 1 FROM lease WHERE task_id = n.first_id + t.id - j.first_id)",
    ),
    (
        "a job has written its first tasks, in the range that it reserved",
        "SELECT count(*) FROM job j WHERE
            j.written <> (SELECT count(*) FROM task t WHERE t.job_id = j.id)
            OR EXISTS (SELECT 1 FROM task t WHERE t.job_id = j.id AND (t.id < j.first_id OR t.id >= j.first_id + j.written
                OR t.number - j.first_number <> t.id - j.first_id OR t.group_id <> j.group_id))",
    ),
    ("garbage has no record", "SELECT count(*) FROM garbage g JOIN artifact a ON a.object = g.object"),
    ("a packed object is not garbage", "SELECT count(*) FROM garbage g JOIN packed_object o ON o.object = g.object"),
    (
        "an archive is in exactly one place",
        "SELECT count(*) FROM artifact a WHERE
            (SELECT count(*) FROM inline_archive WHERE artifact_id = a.id) <> (CASE a.place WHEN 1 THEN 1 ELSE 0 END)
            OR (SELECT count(*) FROM packed_archive WHERE artifact_id = a.id) <> (CASE a.place WHEN 2 THEN 1 ELSE 0 END)",
    ),
    (
        "a packed archive has a record",
        "SELECT count(*) FROM packed_archive WHERE artifact_id NOT IN (SELECT id FROM artifact)",
    ),
    (
        "a packed object counts its archives, which do not overlap",
        "SELECT count(*) FROM packed_object o WHERE
            o.live_count <> (SELECT count(*) FROM packed_archive WHERE packed_id = o.id)
            OR o.live_bytes <> (SELECT coalesce(sum(a.size), 0) FROM packed_archive p
                JOIN artifact a ON a.id = p.artifact_id WHERE p.packed_id = o.id)
            OR EXISTS (SELECT 1 FROM packed_archive p JOIN artifact a ON a.id = p.artifact_id
                WHERE p.packed_id = o.id AND (p.byte_offset + a.size > o.size OR EXISTS
                    (SELECT 1 FROM packed_archive q WHERE q.packed_id = o.id
                        AND q.byte_offset > p.byte_offset AND q.byte_offset < p.byte_offset + a.size)))",
    ),
    (
        "a worker has a lease on life",
        "SELECT count(*) FROM worker w WHERE NOT EXISTS
            (SELECT 1 FROM worker_session WHERE worker_id = w.id)",
    ),
    (
        "a group that is not Deleted has an Admin",
        "SELECT count(*) FROM groups g WHERE state <> 2 AND NOT EXISTS
            (SELECT 1 FROM membership WHERE group_id = g.id AND role = 2)",
    ),
];

impl<B: Backend> Harness<B> {
    /// Fails if a rule is violated.
    pub(crate) async fn check_invariants(&self) {
        for (rule, violations) in RULES {
            assert_eq!(self.scalar(violations).await, 0, "broken: {rule}");
        }
    }
}

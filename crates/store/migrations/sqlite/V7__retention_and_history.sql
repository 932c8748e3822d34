-- Tasks that a task names: archives it fetches, and the task it watches. They are kept while it lives.
CREATE TABLE task_need (
    needed_uuid BLOB    NOT NULL,
    task_id     INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (needed_uuid, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_need_by_task ON task_need (task_id);

-- What was submitted before the upgrade.
INSERT INTO task_need (needed_uuid, task_id)
SELECT unhex(replace(json_extract(resource.value, '$.remote_file.Artifact.uuid'), '-', '')), t.id
FROM task t, json_each(t.spec, '$.resources') AS resource
WHERE json_extract(resource.value, '$.remote_file.Artifact.uuid') IS NOT NULL
UNION
SELECT unhex(replace(json_extract(t.spec, '$.watch[0]'), '-', '')), t.id
FROM task t
WHERE json_extract(t.spec, '$.watch[0]') IS NOT NULL;

-- Keys of submissions are forgotten in the order of time.
CREATE INDEX submission_by_time ON submission (created_at);

-- Ends that are looked for: failed, cancelled, or with something to say. They are few among many.
CREATE INDEX done_unusual ON done (task_id, state, exit_status, message)
    WHERE exit_status <> 0 OR state <> 3 OR message IS NOT NULL;

-- One's own tasks among those of a large group.
CREATE INDEX task_by_creator ON task (group_id, creator_id, id);

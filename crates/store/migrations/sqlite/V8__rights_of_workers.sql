-- A renewed token of this worker never lives beyond this time; NULL when it was registered without a lifetime.
ALTER TABLE worker ADD COLUMN token_until INTEGER;
-- The personal token that registered it; the worker ends with it.
ALTER TABLE worker ADD COLUMN personal_token_id INTEGER;
CREATE INDEX worker_by_creator ON worker (creator_id);
-- Who put the worker at the service of the group; NULL for its owner. The relation ends with that membership.
ALTER TABLE worker_group ADD COLUMN granted_by INTEGER;

-- Until now, any user could put a worker at the service of any group. Such relations end here.
DELETE FROM worker_group
WHERE NOT EXISTS (
    SELECT 1 FROM worker w CROSS JOIN membership m ON m.user_id = w.creator_id
    WHERE w.id = worker_group.worker_id AND m.group_id = worker_group.group_id AND m.role >= 1);

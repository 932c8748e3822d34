-- What of a task's output was not kept, as a JSON array; NULL for nothing.
ALTER TABLE done ADD COLUMN warnings TEXT;

-- What changed lately is found from its newest end; the other tables of where tasks stand are small.
CREATE INDEX ready_by_time ON ready (queued_at);
-- Rows are added in the order of time, or nearly.
CREATE INDEX done_by_time ON done USING brin (finished_at) WITH (pages_per_range = 32, autosummarize = on);

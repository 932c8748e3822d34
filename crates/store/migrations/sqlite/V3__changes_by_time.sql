-- What changed lately is found from its newest end; the other tables of where tasks stand are small.
CREATE INDEX ready_by_time ON ready (queued_at);
CREATE INDEX done_by_time ON done (finished_at);

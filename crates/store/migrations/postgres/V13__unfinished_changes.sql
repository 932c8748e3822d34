-- From when on the wall clock is believed again after a jump, in the time of leases. Nothing is deleted by its age before.
ALTER TABLE lease_clock ADD COLUMN settled_at BIGINT NOT NULL DEFAULT 0;

-- A deleted group with tasks that may still have to be cancelled. A deletion may have been cut off before.
ALTER TABLE groups ADD COLUMN ending BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE groups SET ending = TRUE WHERE state = 2;
CREATE INDEX groups_ending ON groups (id) WHERE ending;

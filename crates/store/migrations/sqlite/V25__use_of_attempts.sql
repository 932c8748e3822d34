-- What an attempt used, as its worker measured it: microseconds and bytes. NULL if the worker did not.
ALTER TABLE done ADD COLUMN wall_micros INTEGER;
ALTER TABLE done ADD COLUMN cpu_micros INTEGER;
ALTER TABLE done ADD COLUMN peak_memory INTEGER;
ALTER TABLE done ADD COLUMN output_bytes INTEGER;
ALTER TABLE attempt ADD COLUMN wall_micros INTEGER;
ALTER TABLE attempt ADD COLUMN cpu_micros INTEGER;
ALTER TABLE attempt ADD COLUMN peak_memory INTEGER;
ALTER TABLE attempt ADD COLUMN output_bytes INTEGER;

-- What is known of a worker besides its host, and why it drains. As the host, it stays as long as an attempt names it.
ALTER TABLE worker_host ADD COLUMN facts TEXT;
ALTER TABLE worker ADD COLUMN drain_reason TEXT;

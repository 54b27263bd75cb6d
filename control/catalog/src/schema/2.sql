-- Where in the stream of the set's archive each part begins.
ALTER TABLE set_parts ADD COLUMN stream_offset INTEGER NOT NULL DEFAULT 0;

CREATE TABLE volumes (
    uuid           TEXT PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    barcode        TEXT,
    record_bytes   INTEGER NOT NULL CHECK (record_bytes > 0),
    created_ms     INTEGER NOT NULL,
    capacity_bytes INTEGER
) STRICT;

CREATE TABLE sets (
    uuid       TEXT PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    ended_ms   INTEGER,
    host       TEXT NOT NULL,
    members    INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('finished', 'partial', 'unfinished'))
) STRICT;

CREATE INDEX sets_by_start ON sets (started_ms);

-- A set lies on its volumes in the order of `sequence`, from 1.
CREATE TABLE set_parts (
    set_uuid    TEXT NOT NULL REFERENCES sets (uuid) ON DELETE CASCADE,
    sequence    INTEGER NOT NULL,
    volume_uuid TEXT NOT NULL REFERENCES volumes (uuid),
    tape_file   INTEGER NOT NULL,
    first_block INTEGER NOT NULL,
    PRIMARY KEY (set_uuid, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX set_parts_by_volume ON set_parts (volume_uuid);

CREATE TABLE set_paths (
    set_uuid TEXT NOT NULL REFERENCES sets (uuid) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path     BLOB NOT NULL,
    PRIMARY KEY (set_uuid, position)
) STRICT, WITHOUT ROWID;

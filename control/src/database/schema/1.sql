-- A row is its key and a `body`, which is JSON and all that the coordinator
-- reads and writes; the other columns show what is in it. Times are
-- milliseconds since 1970 but where a name ends in `_utc`. docs/database.md
-- tells what is what.

CREATE TABLE counters (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER AS (CAST(body ->> '$.epoch' AS INTEGER)),
    token INTEGER AS (body ->> '$.token'),
    host  TEXT AS (body ->> '$.host'),
    body  TEXT NOT NULL
) STRICT;

CREATE TABLE nodes (
    name       TEXT PRIMARY KEY NOT NULL,
    is_drained INTEGER AS (body ->> '$.is_drained'),
    boot       TEXT AS (body ->> '$.boot'),
    reaches    TEXT AS (body ->> '$.reaches'),
    fenced     INTEGER AS (body ->> '$.fenced'),
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE drives (
    serial      TEXT PRIMARY KEY NOT NULL,
    product     TEXT AS (body ->> '$.product'),
    pool        TEXT AS (body ->> '$.pool'),
    library     TEXT AS (body ->> '$.library'),
    is_disabled INTEGER AS (body ->> '$.is_disabled'),
    trouble     TEXT AS (body ->> '$.trouble'),
    doubt       TEXT AS (body ->> '$.doubt'),
    alerts      TEXT AS (body ->> '$.alerts'),
    unusable    TEXT AS (body ->> '$.unusable'),
    holder      TEXT AS (body ->> '$.holder.run.job' || '@' || (body ->> '$.holder.run.due')
                         || '#' || (body ->> '$.holder.number')),
    body        TEXT NOT NULL
) STRICT;

CREATE TABLE volumes (
    uuid       TEXT PRIMARY KEY NOT NULL,
    name       TEXT AS (body ->> '$.name'),
    pool       TEXT AS (body ->> '$.pool'),
    closed     TEXT AS (body ->> '$.closed'),
    doubt      TEXT AS (body ->> '$.doubt'),
    absent     TEXT AS (body ->> '$.absent'),
    inside     TEXT AS (body ->> '$.inside'),
    writer     TEXT AS (body ->> '$.writer.run.job' || '@' || (body ->> '$.writer.run.due')
                        || '#' || (body ->> '$.writer.number')),
    unfinished TEXT AS (body ->> '$.unfinished.job' || '@' || (body ->> '$.unfinished.due')),
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
    name    TEXT PRIMARY KEY NOT NULL,
    place   TEXT AS (body ->> '$.place'),
    drive   TEXT AS (body ->> '$.drive'),
    volumes TEXT AS (body ->> '$.volumes'),
    paths   TEXT AS (body ->> '$.work.paths'),
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE schedules (
    name        TEXT PRIMARY KEY NOT NULL,
    job         TEXT AS (body ->> '$.schedule.job'),
    cron        TEXT AS (body ->> '$.schedule.cron'),
    zone        TEXT AS (body ->> '$.schedule.zone'),
    is_disabled INTEGER AS (body ->> '$.schedule.is_disabled'),
    next_utc    TEXT AS (strftime('%Y-%m-%d %H:%M:%S', (body ->> '$.next') / 1000, 'unixepoch')),
    body        TEXT NOT NULL
) STRICT;

-- What services begin by themselves when it is due and no coordinator is there.
CREATE TABLE occurrences (
    job         TEXT NOT NULL,
    due         INTEGER NOT NULL,
    due_utc     TEXT AS (strftime('%Y-%m-%d %H:%M:%S', due / 1000, 'unixepoch')),
    node        TEXT AS (body ->> '$.node'),
    drive       TEXT AS (body ->> '$.occurrence.drive'),
    token       INTEGER AS (body ->> '$.occurrence.token'),
    volume      TEXT AS (body ->> '$.occurrence.volumes[0].name'),
    body        TEXT NOT NULL,
    PRIMARY KEY (job, due)
) STRICT;

-- Nodes that have failed, and what was done about it.
CREATE TABLE failovers (
    lost            INTEGER NOT NULL,
    node            TEXT NOT NULL,
    lost_utc        TEXT AS (strftime('%Y-%m-%d %H:%M:%S', lost / 1000, 'unixepoch')),
    was_coordinator INTEGER AS (body ->> '$.was_coordinator'),
    dead_utc        TEXT AS (strftime('%Y-%m-%d %H:%M:%S', (body ->> '$.dead') / 1000, 'unixepoch')),
    hit             TEXT AS (body ->> '$.hit'),
    body            TEXT NOT NULL,
    PRIMARY KEY (lost, node)
) STRICT;

-- A run outlives its job.
CREATE TABLE runs (
    job      TEXT NOT NULL,
    due      INTEGER NOT NULL,
    due_utc  TEXT AS (strftime('%Y-%m-%d %H:%M:%S', due / 1000, 'unixepoch')),
    state    TEXT AS (CASE WHEN json_type(body, '$.state') = 'text' THEN body ->> '$.state'
                      WHEN json_type(body, '$.state.held') IS NOT NULL THEN 'held'
                      WHEN json_type(body, '$.state.done') IS NOT NULL THEN 'done'
                      ELSE 'failed' END),
    exit     INTEGER AS (body ->> '$.state.done'),
    why      TEXT AS (coalesce(body ->> '$.state.held', body ->> '$.state.failed')),
    attempts INTEGER AS (body ->> '$.attempts'),
    failures INTEGER AS (body ->> '$.failures'),
    body     TEXT NOT NULL,
    PRIMARY KEY (job, due)
) STRICT;

CREATE TABLE attempts (
    job         TEXT NOT NULL,
    due         INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    node        TEXT AS (body ->> '$.node'),
    drive       TEXT AS (body ->> '$.drive'),
    token       INTEGER AS (body ->> '$.token'),
    resumes     INTEGER AS (body ->> '$.resumes'),
    ordered_utc TEXT AS (strftime('%Y-%m-%d %H:%M:%S', (body ->> '$.ordered') / 1000, 'unixepoch')),
    -- Cast: a service may say a number that SQLite has not.
    bytes       INTEGER AS (CAST(body ->> '$.point.bytes' AS INTEGER)),
    ended_utc   TEXT AS (strftime('%Y-%m-%d %H:%M:%S', (body ->> '$.ended.ended') / 1000,
                                  'unixepoch')),
    exit        INTEGER AS (body ->> '$.ended.exit'),
    error       TEXT AS (body ->> '$.ended.error'),
    set_uuid    TEXT AS (body ->> '$.ended.set.uuid'),
    body        TEXT NOT NULL,
    PRIMARY KEY (job, due, number),
    -- At the end of a transaction: within it rows come in any order.
    FOREIGN KEY (job, due) REFERENCES runs (job, due) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- What rows became. Of an attempt's progress only the newest is here.
CREATE TABLE events (
    number      INTEGER PRIMARY KEY,
    time        INTEGER NOT NULL,
    time_utc    TEXT AS (strftime('%Y-%m-%d %H:%M:%S', time / 1000, 'unixepoch')),
    kind        TEXT NOT NULL,
    key         TEXT NOT NULL,
    is_progress INTEGER NOT NULL,
    change      TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_key ON events (key);
CREATE UNIQUE INDEX events_of_progress ON events (key) WHERE is_progress = 1;

-- A copy says here that it is one; empty in the database itself.
CREATE TABLE copied (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    time INTEGER NOT NULL
) STRICT;

-- What follows repeats nothing: it is what the rows above say.

CREATE VIEW assignments AS
    SELECT token, drive, node, job, due, number, ordered_utc, ended_utc
    FROM attempts ORDER BY token;

CREATE VIEW pools AS
    SELECT pool AS name, sum(is_drive) AS drives, sum(NOT is_drive) AS volumes,
           sum(is_open) AS open_volumes
    FROM (SELECT pool, 1 AS is_drive, 0 AS is_open FROM drives WHERE pool IS NOT NULL
          UNION ALL SELECT pool, 0, closed IS NULL FROM volumes)
    GROUP BY pool ORDER BY pool;

CREATE VIEW checkpoints AS
    SELECT job, due, number,
           strftime('%Y-%m-%d %H:%M:%S', (body ->> '$.point.taken') / 1000, 'unixepoch')
               AS taken_utc,
           body ->> '$.point.volume' AS volume, body ->> '$.point.block' AS block,
           body ->> '$.point.members' AS members, bytes,
           body ->> '$.point.journal_bytes' AS journal_bytes
    FROM attempts WHERE bytes IS NOT NULL ORDER BY job, due, number;

CREATE VIEW moves AS
    SELECT old.job, old.due, old.number AS from_number, old.node AS from_node,
           old.error AS why, new.number AS to_number, new.node AS to_node,
           new.resumes, new.ordered_utc
    FROM attempts AS old
    JOIN attempts AS new
        ON new.job = old.job AND new.due = old.due AND new.number = old.number + 1
    WHERE new.node <> old.node ORDER BY new.token;

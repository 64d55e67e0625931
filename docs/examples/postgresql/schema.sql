-- SPDX-License-Identifier: Apache-2.0
-- What fieldgate publishes, in PostgreSQL 14 or newer: each record once, whatever arrives twice.
-- docs/POSTGRESQL.md says how it is used; psql -f schema.sql makes it.

-- Every sample and event as it came. The key is the contract's: it keeps out what is delivered again.
CREATE TABLE record (
    gateway text,
    stream  text,
    seq     bigint,
    kind    text        NOT NULL CHECK (kind IN ('sample', 'event')),
    ts      timestamptz NOT NULL,
    stored  timestamptz NOT NULL DEFAULT now(),
    layout  integer     NOT NULL,
    device  text,
    body    jsonb       NOT NULL,
    PRIMARY KEY (gateway, stream, seq)
);
CREATE INDEX ON record (gateway, device, ts);

-- The values of samples, one a row. value is NULL when it was not good, and quality says why; true is 1, false is 0.
CREATE TABLE reading (
    gateway  text,
    stream   text,
    seq      bigint,
    point    text,
    value    numeric,
    quality  text,
    doubtful numeric,
    PRIMARY KEY (gateway, stream, seq, point),
    FOREIGN KEY (gateway, stream, seq) REFERENCES record
);

-- From the birth messages: what a point is measured in, and by which uplink of its gateway the records come.
CREATE TABLE point (
    gateway text,
    layout  integer,
    device  text,
    point   text,
    type    text NOT NULL,
    unit    text,
    labels  jsonb,
    PRIMARY KEY (gateway, layout, device, point)
);
CREATE TABLE gateway (gateway text PRIMARY KEY, uplink text NOT NULL, birth jsonb NOT NULL);

-- What could not be read, to be looked at by somebody. It must not stop what comes behind it.
CREATE TABLE unreadable (arrived timestamptz NOT NULL DEFAULT now(), topic text, payload bytea, error text);

-- One data message. Returns how many of its records are new.
CREATE FUNCTION take_data(message jsonb) RETURNS integer LANGUAGE sql AS $$
    WITH arrived AS (
        SELECT 'sample' AS kind, r FROM jsonb_array_elements(message -> 'samples') r
        UNION ALL
        SELECT 'event', r FROM jsonb_array_elements(message -> 'events') r
    ), new AS (
        INSERT INTO record (gateway, stream, seq, kind, ts, layout, device, body)
        SELECT message ->> 'gateway', message ->> 'stream', (r ->> 'seq')::bigint, kind,
               to_timestamp((r ->> 'ts')::numeric / 1000), (message ->> 'layout')::integer, r ->> 'device', r
        FROM arrived
        ON CONFLICT DO NOTHING
        RETURNING gateway, stream, seq, body
    ), unfolded AS (
        INSERT INTO reading (gateway, stream, seq, point, value, quality, doubtful)
        SELECT gateway, stream, seq, key,
               CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric
                                        WHEN 'boolean' THEN value::boolean::integer END,
               body -> 'quality' ->> key, (body -> 'doubtful' -> key)::numeric
        FROM new, jsonb_each(body -> 'values')
    )
    SELECT count(*)::integer FROM new
$$;

-- One birth message. A layout never changes; a gateway may be born with it again.
CREATE FUNCTION take_birth(message jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO gateway VALUES (message ->> 'gateway', message ->> 'uplink', message)
    ON CONFLICT (gateway) DO UPDATE SET uplink = excluded.uplink, birth = excluded.birth;
    INSERT INTO point (gateway, layout, device, point, type, unit, labels)
    SELECT message ->> 'gateway', (layout ->> 'layout')::integer, device ->> 'name', point ->> 'name',
           point ->> 'type', point ->> 'unit', device -> 'labels'
    FROM jsonb_array_elements(message -> 'layouts') layout,
         jsonb_array_elements(layout -> 'devices') device,
         jsonb_array_elements(layout -> 'models' -> (device ->> 'model') -> 'points') point
    ON CONFLICT DO NOTHING
$$;

-- For people: what was measured when, in which unit.
CREATE VIEW measurement AS
SELECT r.gateway, r.device, m.point, r.ts, m.value, p.unit, m.quality, m.doubtful, r.stream, r.seq
FROM reading m JOIN record r USING (gateway, stream, seq)
LEFT JOIN point p ON (p.gateway, p.layout, p.device, p.point) = (r.gateway, r.layout, r.device, m.point);

-- Points with `aggregate` in the gateway's configuration have no value but these, from `since` up to `ts`.
CREATE VIEW summary AS
SELECT gateway, device, key AS point, to_timestamp((body ->> 'from')::numeric / 1000) AS since, ts,
       (s ->> 'min')::numeric AS min, (s ->> 'mean')::numeric AS mean, (s ->> 'max')::numeric AS max,
       (s ->> 'n')::integer AS n, coalesce((s ->> 'bad')::integer, 0) AS bad, stream, seq
FROM record, jsonb_each(body -> 'stats') AS stats (key, s);

-- Records that will never come, by the gateway's own word: only what was lost to the uplink that we listen to.
CREATE VIEW loss AS
SELECT e.gateway, coalesce(e.body ->> 'stream', e.stream) AS stream, (e.body ->> 'from')::bigint AS first,
       (e.body ->> 'to')::bigint AS last, (e.body ->> 'count')::bigint AS count, e.body ->> 'reason' AS reason, e.ts
FROM record e LEFT JOIN gateway g USING (gateway)
WHERE e.body ->> 'event' = 'samples_dropped' AND e.body ? 'from' AND e.body ->> 'uplink' = coalesce(g.uplink, e.body ->> 'uplink');

-- Numbers that are neither here nor named as lost: still on their way, or a fault to be looked into.
CREATE VIEW hole AS
SELECT gateway, stream, lower(missing) AS first, upper(missing) - 1 AS last
FROM (SELECT gateway, stream,
             unnest(int8multirange(int8range(min(seq), max(seq), '[]')) - range_agg(int8range(seq, seq, '[]'))
                    - coalesce((SELECT range_agg(int8range(first, last, '[]')) FROM loss l
                                WHERE (l.gateway, l.stream) = (r.gateway, r.stream)), '{}')) AS missing
      FROM record r GROUP BY gateway, stream) numbers;

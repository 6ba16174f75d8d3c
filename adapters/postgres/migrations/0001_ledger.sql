-- The ledger: one row for each finished job, which is also the outbox of events not yet published.
-- No foreign keys: it must hold jobs for photos that do not exist, and outlive rows of the application.
CREATE TABLE facematch.outcomes (
    stream_seq         bigint           NOT NULL,
    stored_at          timestamptz      NOT NULL,
    photo_id           uuid,
    face_index         integer,
    job_id             uuid,
    outcome            text             NOT NULL CHECK (outcome IN ('matched', 'skipped', 'failed')),
    reason             text             CHECK ((reason IS NULL) = (outcome = 'matched')),
    detail             text             NOT NULL DEFAULT '',
    user_id            uuid,
    photo_face_id      uuid,
    match_id           uuid,
    bbox               jsonb,
    distance           double precision,
    threshold          double precision,
    gallery_size       integer,
    runner_up_distance double precision,
    embedder           text             NOT NULL,
    worker             text             NOT NULL,
    traceparent        text,
    occurred_at        timestamptz      NOT NULL,
    recorded_at        timestamptz      NOT NULL DEFAULT now(),
    published_at       timestamptz,
    PRIMARY KEY (stream_seq, stored_at)
);
CREATE INDEX outcomes_photo_id ON facematch.outcomes (photo_id, occurred_at DESC);
CREATE INDEX outcomes_unpublished ON facematch.outcomes (recorded_at) WHERE published_at IS NULL;

-- Deliveries that ended without an outcome.
CREATE TABLE facematch.attempts (
    stream_seq  bigint      NOT NULL,
    stored_at   timestamptz NOT NULL,
    delivery    integer     NOT NULL,
    photo_id    uuid,
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    worker      text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (stream_seq, stored_at, delivery)
);

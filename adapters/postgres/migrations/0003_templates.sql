-- Of how many photographs `facematch enroll` made a user's template, and which template that is. Thresholds depend on
-- it. No foreign key, as everywhere: a row whose user is gone means nothing.
CREATE TABLE facematch.templates (
    user_id     uuid        PRIMARY KEY,
    photographs integer     NOT NULL CHECK (photographs >= 1),
    fingerprint bytea       NOT NULL,
    enrolled_at timestamptz NOT NULL DEFAULT now()
);

-- The model whose templates the gallery is of, since it was first switched to another: one row, or none before that.
-- `switched_at` is null while users are being switched. No job is decided by templates of another model, nor meanwhile.
CREATE TABLE facematch.active_model (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    model text NOT NULL,
    switched_at timestamptz
);

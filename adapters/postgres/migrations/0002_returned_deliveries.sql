-- A delivery that a stopping worker gave back is no failed attempt: its row has no reason.
ALTER TABLE facematch.attempts ALTER COLUMN reason DROP NOT NULL;

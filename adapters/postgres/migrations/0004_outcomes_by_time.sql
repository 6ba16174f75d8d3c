-- What ended lately, asked again and again by whoever watches: a table of millions must not be read for it.
CREATE INDEX outcomes_occurred_at ON facematch.outcomes (occurred_at);

-- SHA-256 of each of the photographs of `image_refs`, in the same order: another one that lies there by now is not made
-- a template of. Null where it is not known, as of templates from before.
ALTER TABLE facematch.templates ADD COLUMN image_digests bytea[];
ALTER TABLE facematch.prepared_templates ADD COLUMN image_digests bytea[];

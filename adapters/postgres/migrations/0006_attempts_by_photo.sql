-- What was tried for a photo is asked while its job has not ended, and there is no row of outcomes to find it by.
CREATE INDEX attempts_photo_id ON facematch.attempts (photo_id);

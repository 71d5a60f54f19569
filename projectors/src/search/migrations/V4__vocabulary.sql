-- Every word of three or more letters, and no digit, that stands in a document: what a mistyped word may have meant.
-- Words with digits are names of things (accounts, entry sets): they are found as they stand or by their beginning, and
-- would only swell this table.
CREATE TABLE vocabulary (
    word text PRIMARY KEY
);

CREATE INDEX vocabulary_trigrams ON vocabulary USING gist (word public.gist_trgm_ops (siglen = 32));

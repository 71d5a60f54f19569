-- The words that a mistyped word may stand for: every word of three or more letters and no digit in any document. Words
-- with digits are names of things (accounts, entry sets). A search finds those as typed or by their beginning, and here
-- they would only swell the table.
CREATE TABLE vocabulary (
    word text PRIMARY KEY
);

CREATE INDEX vocabulary_trigrams ON vocabulary USING gist (word public.gist_trgm_ops (siglen = 32));

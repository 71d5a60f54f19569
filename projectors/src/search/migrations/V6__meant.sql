-- The words of the vocabulary that a mistyped word may stand for, the nearest first, at most max_words. One typo
-- (a letter wrong, missing, too many, or two neighbours swapped) in a word of four letters or more, two from eight on.
-- Looks at the 200 words with the most trigrams in common.
CREATE FUNCTION meant(typed text, max_words integer) RETURNS SETOF text
LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 8
SET search_path FROM CURRENT
AS $$
    SELECT word
      FROM (SELECT word, word <-> typed AS unlike, levenshtein_less_equal(word, typed, 2) AS distance
              FROM vocabulary
             WHERE length(typed) >= 4
               AND typed !~ '[0-9]'
             ORDER BY word <-> typed
             LIMIT 200) AS candidate
     WHERE word <> typed
       AND (distance <= CASE WHEN length(typed) >= 8 THEN 2 ELSE 1 END
            OR distance = 2 AND is_swap(word, typed))
     ORDER BY distance, unlike, word
     LIMIT max_words
$$;

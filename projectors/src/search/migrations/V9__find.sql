-- find(query, max_results): entries and accounts that hold every word of the query, in any order, each as it stands, as
-- the beginning of a word, or mistyped; the best first.
--
-- rank: 1 when every word matches as typed; up to 0.5 when some are only beginnings; up to 0.25 when some are mistyped.
-- With the same rank, accounts come first, then the latest entries. Any text is a query; without words, or with words
-- that no document has, it finds nothing. Words after the 16th are ignored.
--
-- Work is bounded: a mistyped word stands for at most 10 others, and the search ranks at most 50,000 candidates of each
-- kind of match. It looks for the next kind only while results are missing.
CREATE FUNCTION find(query text, max_results integer DEFAULT 20)
RETURNS TABLE (
    kind text, id text, account_id text, description text,
    amount_minor bigint, currency text, reporting_at timestamptz, rank real
)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    typed   text[] := (words_of(left(query, 1000)))[1:16];
    -- one element for each word of the query
    exact   tsquery[];
    begins  tsquery[];
    means   tsquery[];
    missing integer := least(coalesce(max_results, 20), 1000);
    found   integer;
BEGIN
    IF coalesce(cardinality(typed), 0) = 0 OR missing <= 0 THEN
        RETURN;
    END IF;
    -- words_of leaves neither quote nor backslash in a word, so quoted it is a tsquery
    SELECT array_agg(format('''%s''', word)::tsquery ORDER BY place),
           array_agg(format('''%s'':*', word)::tsquery ORDER BY place)
      INTO exact, begins
      FROM unnest(typed) WITH ORDINALITY AS t (word, place);

    RETURN QUERY SELECT * FROM ranked(all_of(exact), NULL, exact, begins, missing);
    GET DIAGNOSTICS found = ROW_COUNT;
    missing := missing - found;
    IF missing = 0 THEN
        RETURN;
    END IF;

    RETURN QUERY SELECT * FROM ranked(all_of(begins), all_of(exact), exact, begins, missing);
    GET DIAGNOSTICS found = ROW_COUNT;
    missing := missing - found;
    IF missing = 0 THEN
        RETURN;
    END IF;

    SELECT array_agg(concat_ws(' | ', format('''%s'':*', word), (
               SELECT string_agg(format('''%s''', meaning), ' | ') FROM meant(word, 10) AS meaning
           ))::tsquery ORDER BY place)
      INTO means
      FROM unnest(typed) WITH ORDINALITY AS t (word, place);
    IF means <> begins THEN
        RETURN QUERY SELECT * FROM ranked(all_of(means), all_of(begins), exact, begins, missing);
    END IF;
END
$$;

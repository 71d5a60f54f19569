-- $1 partitions integer[], $2 positions bigint[], $3 kinds text[], $4 ids text[], $5 account_ids text[],
-- $6 descriptions text[], $7 amounts_minor bigint[], $8 currencies text[], $9 reporting_at timestamptz[],
-- $10 words text[]: each document's words, joined by spaces; null where this statement has to find them
WITH document AS MATERIALIZED (
    SELECT partition, position, kind, id, account_id, description, amount_minor, currency, reporting_at,
           CASE WHEN known_words IS NULL THEN words_of(concat_ws(' ', kind, id, account_id, currency, description))
                ELSE string_to_array(known_words, ' ') END AS words
      FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                  $8::text[], $9::timestamptz[], $10::text[])
           AS document (partition, position, kind, id, account_id, description, amount_minor, currency, reporting_at,
                        known_words)
), learnt AS (
    -- in order, so that two instances that add the same words don't deadlock
    INSERT INTO vocabulary (word)
    SELECT DISTINCT word
      FROM document, unnest(words) AS word
     WHERE length(word) > 2 AND word !~ '[0-9]'
     ORDER BY word
    ON CONFLICT DO NOTHING
)
INSERT INTO documents
       (partition, position, kind, id, account_id, description, amount_minor, currency, reporting_at, words)
SELECT partition, position, kind, id, account_id, description, amount_minor, currency, reporting_at,
       array_to_tsvector(words)
  FROM document

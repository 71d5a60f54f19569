-- The distinct words of a text, for the index and for queries alike: lower case, without accents, split at ASCII
-- punctuation and Unicode spaces. Takes the text's first 10,000 characters, and 64 characters of each word.
-- ASCII gets its lower case the same way everywhere (words.rs relies on that), other letters by the database's locale.
CREATE FUNCTION words_of(content text) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE
AS $$
    SELECT array(
        SELECT DISTINCT left(word, 64)
          FROM regexp_split_to_table(
                   lower(lower(public.unaccent('public.unaccent', left(content, 10000)) COLLATE "C") COLLATE "default"),
                   '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a0\u2000-\u206f\u3000-\u303f]+'
               ) AS word
         WHERE word <> ''
    )
$$;

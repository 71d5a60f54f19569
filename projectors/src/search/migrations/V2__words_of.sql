-- The distinct words of a text, as they are indexed and as they are asked for: lower case, without accents, split at
-- ASCII punctuation and Unicode spaces, at most 64 characters of each, of the text's first 10,000.
-- ASCII is folded to lower case in the same way everywhere (words.rs counts on it), letters beyond it as the database's
-- locale does it.
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

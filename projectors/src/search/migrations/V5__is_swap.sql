-- Whether two words differ by two neighbouring letters swapped.
CREATE FUNCTION is_swap(one text, other text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT EXISTS (
        SELECT
          FROM generate_series(1, length(one) - 1) AS at
         WHERE overlay(one PLACING reverse(substr(one, at, 2)) FROM at) = other
    )
$$;

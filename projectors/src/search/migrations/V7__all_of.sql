-- The conjunction of several queries: documents must match all of them.
CREATE FUNCTION all_of(parts tsquery[]) RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT string_agg(format('(%s)', part), ' & ')::tsquery FROM unnest(parts) AS part
$$;

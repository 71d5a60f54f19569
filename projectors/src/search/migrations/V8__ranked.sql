-- Documents that match `wanted` and not `had`, ranked by how each word of the query stands in them: as it is (exact),
-- as a beginning (begins), or else mistyped. The worst word decides, the others refine.
CREATE FUNCTION ranked(wanted tsquery, had tsquery, exact tsquery[], begins tsquery[], max_results integer)
RETURNS TABLE (
    kind text, id text, account_id text, description text,
    amount_minor bigint, currency text, reporting_at timestamptz, rank real
)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
    SELECT d.kind, d.id, d.account_id, d.description, d.amount_minor, d.currency, d.reporting_at, best.rank
      FROM (SELECT candidate.partition, candidate.position, candidate.kind, candidate.reporting_at, weight.rank
              FROM (SELECT * FROM documents
                     WHERE words @@ wanted AND (had IS NULL OR NOT words @@ had)
                     LIMIT 50000) AS candidate
             CROSS JOIN LATERAL (
                   SELECT (min(score) * (1 + avg(score)) / 2)::real AS rank
                     FROM (SELECT CASE WHEN candidate.words @@ e THEN 1
                                       WHEN candidate.words @@ b THEN 0.5
                                       ELSE 0.25 END AS score
                             FROM unnest(exact, begins) AS word (e, b)) AS scores
             ) AS weight
             ORDER BY weight.rank DESC, candidate.kind, candidate.reporting_at DESC, candidate.position DESC
             LIMIT max_results) AS best
      JOIN documents AS d USING (partition, position)
     ORDER BY best.rank DESC, best.kind, best.reporting_at DESC, best.position DESC
$$;

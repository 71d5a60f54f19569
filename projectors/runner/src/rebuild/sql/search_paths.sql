-- $1 a schema's name before, $2 its name now: the statements that put the new name into the search paths of its functions
SELECT format('ALTER FUNCTION %s SET search_path = %s', p.oid::regprocedure,
              (SELECT string_agg(format('%I', CASE trim(part, ' "') WHEN $1 THEN $2 ELSE trim(part, ' "') END), ', ' ORDER BY place)
                 FROM string_to_table(substr(setting, length('search_path=') + 1), ',') WITH ORDINALITY AS t (part, place)))
  FROM pg_proc AS p
 CROSS JOIN unnest(p.proconfig) AS setting
 WHERE p.pronamespace = $2::text::regnamespace
   AND p.prokind = 'f'
   AND starts_with(setting, 'search_path=')
   AND EXISTS (SELECT FROM string_to_table(substr(setting, length('search_path=') + 1), ',') AS part WHERE trim(part, ' "') = $1)

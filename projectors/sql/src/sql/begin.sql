-- $1 id of the definition. Prepares the transaction for its statements; no row when another definition was applied.
-- What depends on a time zone is the same everywhere, and no statement runs for ever.
SELECT set_config('TimeZone', 'UTC', true),
       set_config('statement_timeout', '60s', true),
       set_config('role', coalesce(role, 'none'), true)
  FROM projector_definition
 WHERE id = $1

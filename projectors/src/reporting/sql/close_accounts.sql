-- $1 account_ids text[], $2 closed_at timestamptz[]
UPDATE account_balances
   SET closed_at = closing.closed_at
  FROM unnest($1::text[], $2::timestamptz[]) AS closing (account_id, closed_at)
 WHERE account_balances.account_id = closing.account_id

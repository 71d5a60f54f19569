-- The outcome of every command, in no order.
SELECT schema, outcome FROM :log.commands

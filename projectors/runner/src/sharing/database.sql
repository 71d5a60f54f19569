-- The database's name, and the identifier that its cluster got when it was made and keeps through copies and failovers
SELECT current_database() || '.' || to_hex(system_identifier) FROM pg_control_system()

-- How far the writers have committed each partition of the command topic.
SELECT partition, next_offset FROM :log.command_offsets

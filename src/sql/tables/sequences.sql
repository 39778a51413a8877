alter sequence leasehold.session_ids as integer;

comment on sequence leasehold.fences is
  'Fencing tokens if the service hides the write-ahead log (source manual in fence_epoch). Elsewhere a fence is a position in '
  'that log, and this is not used.';
comment on sequence leasehold.tickets is 'Tickets of waiters: lower ones are served first.';
comment on sequence leasehold.session_ids is
  'Numbers of sessions. Each is the second half of the advisory lock that its session holds.';

-- Each flush writes its process's own row anew: room for its next version on the same page. The rest as in leases.sql.
alter table leasehold.counters set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.counters is
  'What lockers have counted. Each writes a row of its own and begins a new one every hour. What nobody has written for six '
  'hours is added to one row, so that sums never shrink; it has the id 00000000-0000-0000-0000-000000000000.';
comment on column leasehold.counters.id is 'Known to the process that writes the row, and to nobody else.';
comment on column leasehold.counters.sequence is 'Counts the flushes of the row: an older one that arrives late changes nothing.';
comment on column leasehold.counters.started_at is 'When it was flushed for the first time.';
comment on column leasehold.counters.flushed_at is 'When it was flushed last.';
comment on column leasehold.counters.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.counters.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.counters.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.counters.cancelled is
  'Acquires that were cancelled by their signal, or because their process was closing.';
comment on column leasehold.counters.failed is 'Acquires that ended with another error.';
comment on column leasehold.counters.contended is
  'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.counters.released is 'Leases that their holders have released.';
comment on column leasehold.counters.renewed is 'Renewals that were confirmed, one for each lease.';
comment on column leasehold.counters.checked is 'Calls that asked who holds a key.';
comment on column leasehold.counters.lost_expired is 'Leases that their holders knew to have run out.';
comment on column leasehold.counters.lost_taken is 'Leases that their holders found taken by somebody else.';
comment on column leasehold.counters.lost_max_hold is 'Leases that ran into their longest hold.';
comment on column leasehold.counters.lost_forced is 'Leases that were taken away by force.';
comment on column leasehold.counters.taken_over_expired is 'Grants that took the key from a lease that had run out.';
comment on column leasehold.counters.taken_over_orphaned is 'Grants that took the key from a process that was confirmed dead.';
comment on column leasehold.counters.swept is 'Rows that sweeps have purged.';
comment on column leasehold.counters.errors is 'What failed in the background.';
comment on column leasehold.counters.wait_ms is 'How long all granted acquires waited, in milliseconds.';
comment on column leasehold.counters.waits is
  'Granted acquires by how long they waited: no longer than 1, 2, 4, ... 2^26 milliseconds, and longer. 28 numbers.';
comment on column leasehold.counters.hold_ms is 'How long all leases were held that were released or lost, in milliseconds.';
comment on column leasehold.counters.holds is 'The same leases by how long they were held, in the buckets of waits.';
comment on column leasehold.counters.prefixes is
  'Acquires by the prefix of their key: an array of objects, at most a hundred and one for all others, whose prefix is null.';
comment on column leasehold.counters.hot_keys is
  'The most contended keys, a hundred at most: an array of objects. Each was contended between "contended" and '
  '"contended_at_most" times.';

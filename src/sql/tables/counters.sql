-- Each flush rewrites the row of its process: leave room for the next version on the same page. The rest as in leases.sql.
alter table leasehold.counters set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.counters is
  'What lockers have counted. Each writes a row of its own and begins a new one every hour. A row that nobody has written for '
  'six hours is added to the one with the id 00000000-0000-0000-0000-000000000000, so that sums never shrink.';
comment on column leasehold.counters.id is 'Known only to the process that writes the row.';
comment on column leasehold.counters.sequence is
  'Counts the flushes of the row: an older flush that arrives late changes nothing.';
comment on column leasehold.counters.started_at is 'When it was flushed for the first time.';
comment on column leasehold.counters.flushed_at is 'When it was flushed last.';
-- Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
comment on column leasehold.counters.:counter is :counter_text;
comment on column leasehold.counters.wait_ms is 'Total time that granted acquires waited, in milliseconds.';
comment on column leasehold.counters.waits is
  'Granted acquires by how long they waited: up to 1, 2, 4, ... 2^26 milliseconds, and longer. 28 numbers.';
comment on column leasehold.counters.hold_ms is 'Total time that released and lost leases were held, in milliseconds.';
comment on column leasehold.counters.holds is 'Released and lost leases by how long they were held, in the buckets of waits.';
comment on column leasehold.counters.prefixes is
  'Acquires by the prefix of their key: an array of at most a hundred objects, and one for all others, whose prefix is null.';
comment on column leasehold.counters.hot_keys is
  'The most contended keys: an array of at most a hundred objects. Each was contended between "contended" and '
  '"contended_at_most" times.';

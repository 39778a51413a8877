comment on table leasehold.sweeper is
  'The progress of the sweeper, in one row. It goes over the leases in batches, and each batch begins where the last one ended, '
  'whoever sweeps.';
comment on column leasehold.sweeper.id is 'Always true: there is one row.';
comment on column leasehold.sweeper.after_key is 'The key after which the next batch begins. Null: at the start.';
comment on column leasehold.sweeper.swept_at is 'When the last batch was done.';

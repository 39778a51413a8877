-- Computes the epoch of this server from the last one that was used, and stores it.
create function leasehold_internal._verify_epoch() returns leasehold.fence_epoch
language plpgsql volatile
as $$
declare
  known leasehold.fence_epoch;
  verified leasehold.fence_epoch;
  server record;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  server := leasehold_internal._server_identity();
  verified := known;
  verified.source := case when server.timeline is null then 'manual' else 'auto' end;
  verified.system_identifier := server.identifier;
  verified.server_start := pg_postmaster_start_time();
  -- Go above every epoch used so far if they may be another server's: another cluster, one that hid more or less, or one with
  -- more timelines.
  if verified.source <> known.source
     or verified.system_identifier is distinct from known.system_identifier
     or known.base + server.timeline - 1 < known.top
  then
    verified.base := known.top + 1;
  end if;
  verified.epoch := verified.base + coalesce(server.timeline - 1, 0);
  verified.top := greatest(known.top, verified.epoch);
  if verified.epoch > 32767 then
    raise exception using errcode = 'LH004',
      message = format('the epochs of fences are used up: the last is 32767, the next would be %s', verified.epoch),
      hint =
        'Drop the schemas leasehold and leasehold_internal, and migrate: fences begin anew. Forget what was stored with the old '
        'ones.';
  end if;

  -- One transaction writes it. The others skip the locked row (rule 6): the epoch depends on nothing they could be writing, and
  -- waiting for an open transaction would hold up every grant.
  if current_setting('transaction_read_only') = 'off' then
    perform from leasehold.fence_epoch e where e.id for update skip locked;
    if found then
      update leasehold.fence_epoch e
         set system_identifier = verified.system_identifier,
             base = verified.base,
             top = verified.top,
             source = verified.source,
             epoch = verified.epoch,
             server_start = verified.server_start
       where e.id and e = known;
    end if;
  end if;
  return verified;
end
$$;

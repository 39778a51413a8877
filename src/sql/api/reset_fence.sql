create function leasehold.reset_fence(resource text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  forgotten bigint;
begin
  perform leasehold_internal._check_transaction();
  if reset_fence.resource is null then
    raise exception using errcode = 'LH003', message = 'the name of a resource has 1 to 512 bytes, this one has none: it is null',
      hint = 'Give the name by which check_fence calls it, see leasehold.resource_fences.';
  end if;
  delete from leasehold.resource_fences m where m.resource = reset_fence.resource collate "C" returning m.fence into forgotten;
  return forgotten;
end
$$;

comment on function leasehold.reset_fence(text) is
  'Forgets the mark that check_fence keeps for a resource: select leasehold.reset_fence(''bucket/report.csv''); For an '
  'administrator, if a mark refuses those who hold the lock. Returns the mark; null if there was none. From then on any fence '
  'passes again: first make sure that no old writer is left, or check the fence of a held lock right afterwards.';

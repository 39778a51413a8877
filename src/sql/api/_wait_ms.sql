-- How long to wait, in milliseconds: infinity for null. Intervals have an infinity of their own since Postgres 17.
create function leasehold_internal._wait_ms(wait interval) returns float8
language plpgsql immutable
as $$
declare
  ms float8 := extract(epoch from wait)::float8 * 1000;
begin
  if ms < 0 then
    raise exception using errcode = 'LH003',
      message = format('a wait is 0 or longer, not %s', wait),
      hint = 'Give an interval such as ''10 s''. Null waits without end.';
  end if;
  return coalesce(ms, 'infinity');
end
$$;

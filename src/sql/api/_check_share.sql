-- The weight of what is asked for; null: the whole key. Refuses what is no way to share a key, with an error that says what is.
create function leasehold_internal._check_share(shared boolean, capacity integer, weight integer) returns integer
language plpgsql immutable
as $$
begin
  if shared is null then
    raise exception using errcode = 'LH003',
      message = 'shared is null', hint = 'Give true for a read lock, or false, or leave it out for false.';
  elsif shared and capacity is not null then
    raise exception using errcode = 'LH003',
      message = 'a lock is either shared or has a capacity, not both',
      hint = 'Give shared => true for a read lock, or capacity for a part of a semaphore.';
  elsif weight is not null and capacity is null then
    raise exception using errcode = 'LH003',
      message = 'a weight is a part of a capacity, and there is none',
      hint = 'Give capacity too. A read lock and an exclusive lock have no weight.';
  elsif capacity < 1 then
    raise exception using errcode = 'LH003',
      message = format('a capacity is 1 to 2147483647, not %s', capacity), hint = 'Give the same to all who ask for the key.';
  elsif weight < 1 or weight > capacity then
    raise exception using errcode = 'LH003',
      message = format('a weight is 1 up to the capacity (%s), not %s', capacity, weight),
      hint = 'Leave it out for 1.';
  end if;
  return case when capacity is not null then coalesce(weight, 1) when shared then 1 end;
end
$$;

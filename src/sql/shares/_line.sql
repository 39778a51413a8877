-- Who of a key's queue may be granted it now: the longest part of the queue, from its head, that fits beside the shares which
-- were counted (decision 27). taken and capacity: with those weights and capacities. is_open: the whole queue fits and may be
-- joined by a share, so that it depends on its own weight alone whether a newcomer may be granted one. "most" are told at most.
-- weights, capacities: what they wait for; null: the whole key.
create function leasehold_internal._line(
  p_key text, p_counted bigint, p_taken bigint, p_capacity integer, most integer,
  out tokens uuid[], out weights integer[], out capacities integer[], out sessions integer[], out taken bigint,
  out capacity integer, out is_open boolean)
language plpgsql volatile
as $$
declare
  waiter record;
begin
  tokens := '{}';
  weights := '{}';
  capacities := '{}';
  sessions := '{}';
  taken := p_taken;
  capacity := p_capacity;
  is_open := true;
  for waiter in
    select w.token, w.session_id, w.weight, w.capacity
      from leasehold.waiters w
     where w.key = p_key and w.alive_until > clock_timestamp()
     order by w.ticket
  loop
    if waiter.weight is null then
      if p_counted = 0 and tokens = '{}' then
        tokens := array[waiter.token];
        weights := array[null::integer];
        capacities := array[null::integer];
        sessions := array[waiter.session_id];
      end if;
      is_open := false;
    elsif taken + waiter.weight > least(capacity, waiter.capacity) then
      is_open := false;
    else
      taken := taken + waiter.weight;
      capacity := least(capacity, waiter.capacity);
      tokens := tokens || waiter.token;
      weights := weights || waiter.weight;
      capacities := capacities || waiter.capacity;
      sessions := sessions || waiter.session_id;
      is_open := cardinality(tokens) < most;
    end if;
    exit when not is_open;
  end loop;
end
$$;

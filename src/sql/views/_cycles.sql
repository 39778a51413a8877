-- Cycles in a graph of who waits for what and who holds it. A key may have several holders, and who waits for it waits for
-- each of them. Listing all cycles would take for ever in a dense graph, so return a shortest one for each session that is in
-- one. A breadth-first search from each session: in a dense graph cycles are short and soon found. Over the keys, of which
-- each is followed once: with 1,000 who wait for a key that 1,000 share there are a million pairs.
--
-- Keys are numbers from 1. The order of waiting is that in which the waits of a session are followed.
create function leasehold_internal._cycles(waiting integer[], wanted integer[], holding integer[], held integer[])
returns table (sessions integer[], keys integer[])
language plpgsql immutable rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
  nodes integer[];
  size integer; -- of the keys
  wants integer[]; -- the keys that are waited for, in the order of the nodes that wait
  first_want integer[]; -- for each node, the index in wants of its first
  holders integer[]; -- the nodes that hold, as indexes into nodes, in the order of the keys
  first_holder integer[]; -- for each key
  owned integer[]; -- the keys that are held, in the order of the nodes that hold
  first_owned integer[]; -- for each node
  is_own boolean[]; -- whether a key is held by the node from which the search began
  is_followed boolean[];
  reached_from integer[];
  reached_by integer[];
  queue integer[];
  looked integer;
  node integer;
  next integer;
  key integer;
  cycle integer[];
  path integer[];
  least integer;
begin
  -- A node that waits for nobody, or that nobody waits for, is in no cycle. Usually no node is left.
  nodes := array(select unnest(waiting) intersect select unnest(holding) order by 1);
  if cardinality(nodes) < 2 then
    return;
  end if;
  size := (select max(k) from unnest(wanted || held) k);
  with number as materialized (
    select n.id, n.number from unnest(nodes) with ordinality n (id, number)
  ),
  want as materialized (
    select n.number, w.key, min(w.place) as place
      from unnest(waiting, wanted) with ordinality w (session, key, place)
      join number n on n.id = w.session
     group by n.number, w.key
  ),
  hold as materialized (
    select distinct n.number, h.key
      from unnest(holding, held) h (session, key)
      join number n on n.id = h.session
  )
  select array(select w.key from want w order by w.number, w.place),
         array(select 1 + sum(count(w.number)) over (order by n.number) - count(w.number)
                 from number n left join want w on w.number = n.number group by n.number order by n.number),
         array(select h.number from hold h order by h.key, h.number),
         array(select 1 + sum(count(h.key)) over (order by k) - count(h.key)
                 from generate_series(1, size) k left join hold h on h.key = k group by k order by k),
         array(select h.key from hold h order by h.number, h.key),
         array(select 1 + sum(count(h.number)) over (order by n.number) - count(h.number)
                 from number n left join hold h on h.number = n.number group by n.number order by n.number)
    into wants, first_want, holders, first_holder, owned, first_owned;
  first_want := first_want || cardinality(wants) + 1;
  first_holder := first_holder || cardinality(holders) + 1;
  first_owned := first_owned || cardinality(owned) + 1;

  for start in 1 .. cardinality(nodes) loop
    reached_from := array_fill(0, array[cardinality(nodes)]);
    reached_by := reached_from;
    is_followed := array_fill(false, array[size]);
    is_own := is_followed;
    for place in first_owned[start] .. first_owned[start + 1] - 1 loop
      is_own[owned[place]] := true;
    end loop;
    queue := array[start];
    looked := 0;
    cycle := null;
    while cycle is null and looked < cardinality(queue) loop
      looked := looked + 1;
      node := queue[looked];
      for place in first_want[node] .. first_want[node + 1] - 1 loop
        key := wants[place];
        -- Who waits for himself alone may be doing two things at once.
        if is_own[key] and node <> start then
          cycle := array[nodes[node]];
          path := array[key];
          while node <> start loop
            path := reached_by[node] || path;
            node := reached_from[node];
            cycle := nodes[node] || cycle;
          end loop;
          exit;
        end if;
        continue when is_followed[key];
        is_followed[key] := true;
        for holder in first_holder[key] .. first_holder[key + 1] - 1 loop
          next := holders[holder];
          if next <> start and reached_from[next] = 0 then
            reached_from[next] := node;
            reached_by[next] := key;
            queue := queue || next;
          end if;
        end loop;
      end loop;
    end loop;
    -- Begin with the smallest node, so that the same cycle is always the same array.
    if cycle is not null then
      least := array_position(cycle, (select min(c) from unnest(cycle) c));
      sessions := cycle[least:] || cycle[:least - 1];
      keys := path[least:] || path[:least - 1];
      return next;
    end if;
  end loop;
end
$$;

comment on function leasehold_internal._cycles(integer[], integer[], integer[], integer[]) is
  'Cycles in a graph that is given as who waits for which key, and who holds it: a shortest one for each session that is in one, '
  'beginning with its smallest number, and the keys that they wait for. The same cycle may be returned several times.';

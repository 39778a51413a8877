-- Cycles in a graph of who waits for whom. Listing all of them would take for ever in a dense graph, so return a shortest one
-- for each node that is in a cycle. A breadth-first search from each node: in a dense graph cycles are short and soon found.
create function leasehold_internal._cycles(waiting integer[], holding integer[])
returns table (sessions integer[])
language plpgsql immutable rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
  nodes integer[];
  targets integer[]; -- the end of each edge, as an index into nodes, in the order of where the edges begin
  first integer[]; -- for each node, the index in targets of its first edge
  reached_from integer[];
  queue integer[];
  looked integer;
  node integer;
  next integer;
  cycle integer[];
  least integer;
begin
  -- A node that waits for nobody, or that nobody waits for, is in no cycle. Usually no node is left.
  nodes := array(select unnest(waiting) intersect select unnest(holding) order by 1);
  if cardinality(nodes) < 2 then
    return;
  end if;
  with number as materialized (
    select n.id, n.number from unnest(nodes) with ordinality n (id, number)
  ),
  edge as materialized (
    select distinct w.number as origin, h.number as target
      from unnest(waiting, holding) e (waiter, holder)
      join number w on w.id = e.waiter
      join number h on h.id = e.holder
  )
  select array(select e.target from edge e order by e.origin, e.target),
         array(select 1 + sum(count(e.origin)) over (order by p.number) - count(e.origin)
                 from number p left join edge e on e.origin = p.number group by p.number order by p.number)
    into targets, first;
  first := first || cardinality(targets) + 1;

  for start in 1 .. cardinality(nodes) loop
    reached_from := array_fill(0, array[cardinality(nodes)]);
    queue := array[start];
    looked := 0;
    cycle := null;
    while cycle is null and looked < cardinality(queue) loop
      looked := looked + 1;
      node := queue[looked];
      for edge in first[node] .. first[node + 1] - 1 loop
        next := targets[edge];
        if next = start then
          cycle := array[nodes[node]];
          while node <> start loop
            node := reached_from[node];
            cycle := nodes[node] || cycle;
          end loop;
          exit;
        elsif reached_from[next] = 0 then
          reached_from[next] := node;
          queue := queue || next;
        end if;
      end loop;
    end loop;
    -- Begin with the smallest node, so that the same cycle is always the same array.
    if cycle is not null then
      least := array_position(cycle, (select min(c) from unnest(cycle) c));
      cycle := cycle[least:] || cycle[:least - 1];
      sessions := cycle;
      return next;
    end if;
  end loop;
end
$$;

comment on function leasehold_internal._cycles(integer[], integer[]) is
  'Cycles in a graph that is given as its edges: a shortest one for each node that is in a cycle, beginning with its smallest '
  'node. The same cycle may be returned several times.';

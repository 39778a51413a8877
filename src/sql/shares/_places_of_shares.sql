-- Which of these tokens have a share of the key, by their places.
create function leasehold_internal._places_of_shares(p_key text, tokens uuid[]) returns table (place integer)
language plpgsql stable
as $$
begin
  return query
    select t.place::integer
      from unnest(tokens) with ordinality t (token, place)
      join lateral (
        select s.key
          from leasehold.shares s
         where s.key = p_key and s.token >= t.token and s.token <= t.token
         order by s.token
         limit 1) s on s.key = p_key;
end
$$;

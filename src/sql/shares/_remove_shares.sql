-- Deletes shares of a key that have ended, at most "most", and returns the newest that nobody had released: whom the grant
-- takes over from. The caller holds the lock of the root. What is locked belongs to an open transaction, and stays.
--
-- for_dead: those of sessions that are confirmed dead, which costs a lock for each session: 100 at a time.
create function leasehold_internal._remove_shares(p_key text, most integer, for_dead boolean) returns leasehold.shares
language plpgsql volatile
as $$
declare
  dead integer[];
  lapsed leasehold.shares;
begin
  if for_dead then
    dead := array(
      select c.session_id
        from (
          select s.session_id, max(s.takeover_ms) as takeover_ms
            from leasehold.shares s
           where s.key = p_key and (:share_may_be_dead)
           group by s.session_id
           order by s.session_id
           limit 100) c
       where leasehold_internal._is_dead(c.session_id, c.takeover_ms));
    if cardinality(dead) = 0 then
      return null;
    end if;
  end if;
  with gone as (
    delete from leasehold.shares g
     where g.ctid = any (array(
       select s.ctid
         from leasehold.shares s
        where s.key = p_key
          and case when for_dead then s.session_id = any (dead) and (:share_may_be_dead) else :share_has_ended end
        limit most
          for update skip locked))
    returning g as share, g.fence, g.released_at
  )
  select (g.share).* into lapsed from gone g where g.released_at is null order by g.fence desc limit 1;
  if not found then
    return null; -- a row of nulls is none
  end if;
  return lapsed;
end
$$;

-- Deletes shares that were released, or have expired, before that moment. Whoever wants room on a key removes those of that key
-- itself; these are of keys that nobody asks for. One that is locked belongs to an open transaction, and stays. A root goes
-- once its shares are gone.
create function leasehold_internal._purge_shares(before timestamptz, most integer) returns integer
language plpgsql volatile
as $$
declare
  purged integer;
begin
  delete from leasehold.shares s
   where s.ctid = any (array(
     select d.ctid
       from leasehold.shares d
      where case
              when d.released_at is not null then d.released_at < before and (d.hold_until is null or d.hold_until < before)
              else d.expires_at < before
            end
      limit most
        for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;

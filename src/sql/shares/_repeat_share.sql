-- The same grant of a share, asked for again: written once, so that this commit too waits until it is durable. outcome null: it
-- has ended, and its row is gone, so that it is granted anew. The caller holds the lock of the root.
create function leasehold_internal._repeat_share(
  p_key text, p_token uuid, p_session integer, p_takeover_ms integer, p_former integer[],
  out outcome text, out fence bigint, out acquired float8, out expires float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  share leasehold.shares;
begin
  select s.* into share from leasehold.shares s where s.key = p_key and s.token = p_token for no key update skip locked;
  if not found then
    outcome := 'busy'; -- a renewal is about to commit
  elsif share.revoked_at is not null and share.expires_at > clock_timestamp()
    or share.released_at is not null and not leasehold_internal._has_ended(share) then
    outcome := 'late'; -- nobody's to be granted, until it would have ended anyway
  elsif share.released_at is null and share.expires_at > clock_timestamp() then
    outcome := 'granted';
    fence := share.fence;
    acquired := leasehold_internal._ms(share.acquired_at);
    expires := leasehold_internal._ms(share.expires_at);
    update leasehold.shares s
       set session_id = case when s.session_id = any (p_former) then p_session else s.session_id end,
           takeover_ms = case when s.session_id = any (p_former) then p_takeover_ms else s.takeover_ms end
     where s.key = p_key and s.token = p_token;
    perform leasehold_internal._remove_entry(p_key, p_token);
  else
    -- An open transaction may still guard it.
    delete from leasehold.shares s
     where s.ctid = (select k.ctid from leasehold.shares k where k.key = p_key and k.token = p_token for update skip locked);
    outcome := case when not found then 'busy' end;
  end if;
end
$$;

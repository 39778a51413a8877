-- Fills the columns of an answer that say who has the key of a lease which was not granted, and until when: its holder, or the
-- last one, whose minimum hold has not ended yet; of several that share it the first. All null: nobody has it.
if lease.token is not null then
  expires := leasehold_internal._ms(lease.expires_at);
elsif lease.hold_until > clock_timestamp() then
  expires := leasehold_internal._ms(lease.hold_until);
elsif :last_was_shared then
  select leasehold_internal._ms(case when s.released_at is null then s.expires_at else s.hold_until end), s.owner, s.fence,
         s.session_id
    into expires, holder, holderfence, holdersession
    from leasehold.shares s
   where s.key = lease.key and not :share_has_ended
   order by s.fence
   limit 1;
end if;
if expires is not null and holderfence is null then
  holder := lease.owner;
  holderfence := lease.fence;
  holdersession := lease.session_id;
end if;

-- Fills the columns of an answer that say who has the key of a lease which was not granted, and until when: its holder, or the
-- last one, whose minimum hold has not ended yet. All null: nobody has it.
if lease.token is not null then
  expires := leasehold_internal._ms(lease.expires_at);
elsif lease.hold_until > clock_timestamp() then
  expires := leasehold_internal._ms(lease.hold_until);
end if;
if expires is not null then
  holder := lease.owner;
  holderfence := lease.fence;
  holdersession := lease.session_id;
end if;

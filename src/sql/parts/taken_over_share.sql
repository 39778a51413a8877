-- Fills the columns of an answer that say whom a grant has taken over from: the share that has lapsed, as _remove_shares
-- returned it.
holder := lapsed.owner;
holderfence := lapsed.fence;
holdersession := lapsed.session_id;
takeover := case when lapsed.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
since := leasehold_internal._ms(case takeover
  when 'expired' then lapsed.expires_at
  else (select s.seen_at from leasehold.sessions s where s.id = lapsed.session_id)
end);

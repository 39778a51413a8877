-- The setting that records the guard of a key, one of 256 (decision 21). Each holds few keys, so a lookup costs the same with a
-- thousand guarded keys as with one. Not one setting per key: a session keeps the name of every setting it ever had (0.2 kB).
create function leasehold_internal._guards_setting(p_key text) returns text
language sql immutable
return 'leasehold.guards_' || (hashtextextended(p_key collate "C", 0) & 255)::text;

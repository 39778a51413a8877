-- The advisory lock for inserting a key (decision 20). It has 64 bits, and a seed of our own because applications lock such
-- hashes, too. With the 32 bits of the two-number form, one uncommitted key among 77,000 others held up an unrelated key with
-- even odds. Keys that share all 64 bits wait for each other until the transaction ends, but are never taken for one key.
create function leasehold_internal._key_lock(key text) returns bigint
language sql immutable parallel safe
return hashtextextended(key collate "C", :key_seed);

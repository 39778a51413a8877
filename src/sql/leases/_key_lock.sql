-- The advisory lock of those who insert a key. 64 bits, and a seed of our own: applications lock such hashes, too. With the 32 bits of
-- the two-number form, one uncommitted key in 77,000 others held up a stranger by even odds. Keys that share all 64 wait for each other
-- until the transaction ends, as if they were one; they are never taken for one.
create function leasehold_internal._key_lock(key text) returns bigint
language sql immutable parallel safe
return hashtextextended(key collate "C", :key_seed);

-- The name under which the guard of a share is recorded among the keys that a transaction guards. No key is so long.
create function leasehold_internal._share_guard(key text) returns text
language sql immutable
return rpad('share of ', 513) || key;

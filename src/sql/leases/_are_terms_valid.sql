-- Whether the terms of an acquire are within their bounds. The client checks the same before; this is for callers without it.
create function leasehold_internal._are_terms_valid(
  owner text, ttl_ms integer, min_hold_ms integer, max_hold_ms bigint, metadata text
) returns boolean
language sql immutable parallel safe
return coalesce(octet_length(owner) between 1 and 256 and ttl_ms >= 1 and min_hold_ms >= 0, false)
   and coalesce(max_hold_ms between 1 and 2147483647, true)
   and (metadata is null or leasehold_internal._is_metadata_valid(metadata));

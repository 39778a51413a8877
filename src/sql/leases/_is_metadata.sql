-- The exponent of a number in JSON is written out by Postgres: 65,536 bytes of 1e131071 would be a gigabyte for whoever
-- reads them. So would a lease that may be held into the year 287,000, or metadata of 5,000 levels, end every program
-- that lists leases: a Date has no such year, and JSON.stringify no such stack. Not in _is_item, where the regular
-- expression would be prepared for each call without any.
create function leasehold_internal._is_metadata(metadata text) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return coalesce(octet_length(metadata) <= 65536
                  and (metadata !~ '[0-9][eE]' or octet_length(metadata::jsonb::text) <= 4194304), true)
     and coalesce(octet_length(metadata) - octet_length(translate(metadata, '[{', '')) <= 100
                  or not jsonb_path_exists(metadata::jsonb, 'strict $.**{101 to last}'), true);
end
$$;

-- Postgres writes out the exponents of JSON numbers: 65,536 bytes of 1e131071 would be a gigabyte for every reader. Metadata of
-- 5,000 levels would crash every program that lists leases, because JSON.stringify overflows the stack; so would a lease that
-- may be held into the year 287,000, which no Date can express. Not part of _are_terms_valid, which would prepare the regular
-- expression at each call, with or without metadata.
create function leasehold_internal._is_metadata_valid(metadata text) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return coalesce(octet_length(metadata) <= 65536
                  and (metadata !~ '[0-9][eE]' or octet_length(metadata::jsonb::text) <= 4194304), true)
     and coalesce(octet_length(metadata) - octet_length(translate(metadata, '[{', '')) <= 100
                  or not jsonb_path_exists(metadata::jsonb, 'strict $.**{101 to last}'), true);
end
$$;

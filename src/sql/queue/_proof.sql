-- What shows that the server gave this place to this token. Its owner comes back to it when the line is lost (it is unlogged), and
-- nobody to a place that was never his: a ticket alone would be a place that anybody can choose.
create function leasehold_internal._proof(secret bytea, key text, token uuid, ticket bigint) returns bigint
language sql stable
return ('x' || encode(substr(sha256(secret || sha256(convert_to(format('%s %s %s', token, ticket, key), getdatabaseencoding()))), 1, 8), 'hex')
  )::bit(64)::bigint;

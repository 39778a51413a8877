-- Proves that the server gave this ticket to this token (decision 18). With it a waiter keeps its ticket after its entry was
-- lost (the table is unlogged). A ticket alone would let anybody choose a position.
create function leasehold_internal._ticket_proof(secret bytea, key text, token uuid, ticket bigint) returns bigint
language sql stable
return (
  'x' || encode(
    substr(
      sha256(secret || sha256(convert_to(format('%s %s %s', token, ticket, key), getdatabaseencoding()))),
      1, 8),
    'hex')
)::bit(64)::bigint;

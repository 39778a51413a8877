-- The text of a grant or revoke. Names must be quoted already.
create function leasehold_internal._grant_text(act text, kind text, name text, privilege text, who text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s %s on %s %s %s %s', act,
    case when kind = 'column' then format('%s (%s)', privilege, quote_ident((parse_ident(name))[3])) else privilege end,
    case when kind = 'column' then 'table' else kind end,
    case when kind = 'column' then format('%I.%I', (parse_ident(name))[1], (parse_ident(name))[2]) else name end,
    case act when 'grant' then 'to' else 'from' end, who);
$$;

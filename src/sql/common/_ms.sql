-- Times travel as milliseconds since 1970 in a float8: exact to the microsecond, and out of reach of a client's date parsers.
create function leasehold_internal._ms(at timestamptz) returns float8
language sql stable parallel safe
return (extract(epoch from at) * 1000)::float8;

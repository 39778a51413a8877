-- The detail of an error about a row that somebody keeps locked, from what _blocker answers.
create function leasehold_internal._where_open(is_blocked boolean, pid integer, gid text) returns text
language sql immutable
return case
  when pid is not null then format('It is open in the server process %s.', pid)
  when gid is not null then format('It is the prepared transaction %L.', gid)
  when is_blocked then 'It cannot be told which of several it is.'
  else 'It has ended meanwhile.'
end;

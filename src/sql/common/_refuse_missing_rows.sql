create function leasehold_internal._refuse_missing_rows() returns void
language plpgsql stable
as $$
begin
  raise exception using
    errcode = 'LH008',
    message = 'the schema leasehold has lost the rows that its functions need',
    detail = 'It was restored without its data, or somebody has emptied its tables.',
    hint = 'Run "leasehold migrate", or await locker.migrate(): that puts them back.';
end
$$;

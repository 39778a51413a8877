-- Whether a share can be removed without asking whether its session is dead.
create function leasehold_internal._has_ended(s leasehold.shares) returns boolean
language plpgsql volatile
as $$
begin
  return :share_has_ended;
end
$$;

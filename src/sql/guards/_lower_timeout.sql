-- Lowers a timeout of this transaction, in milliseconds, if it is longer or off (0).
create function leasehold_internal._lower_timeout(setting text, bound_ms numeric, spent_ms numeric default 0) returns void
language plpgsql volatile
as $$
declare
  current_ms numeric := extract(epoch from current_setting(setting)::interval) * 1000;
begin
  if current_ms = 0 or current_ms - spent_ms > bound_ms then
    -- A running transaction_timeout restarts only when it is set from 0.
    if current_ms > 0 and spent_ms > 0 then
      perform set_config(setting, '0', true);
    end if;
    perform set_config(setting, bound_ms::text, true);
  end if;
end
$$;

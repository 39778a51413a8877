-- Lowers a timeout of this transaction, in milliseconds; 0 is none.
create function leasehold_internal._bound(setting text, bound_ms numeric, spent_ms numeric default 0) returns void
language plpgsql volatile
as $$
declare
  current_ms numeric := extract(epoch from current_setting(setting)::interval) * 1000;
begin
  if current_ms = 0 or current_ms - spent_ms > bound_ms then
    -- The clock of transaction_timeout, once it runs, only starts again from 0.
    if current_ms > 0 and spent_ms > 0 then
      perform set_config(setting, '0', true);
    end if;
    perform set_config(setting, bound_ms::text, true);
  end if;
end
$$;

-- Whether a row s of shares can be removed without asking whether its session is dead.
case
  when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
  else s.expires_at <= clock_timestamp()
end

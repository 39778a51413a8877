-- The epoch as _epoch tells it: a part, for the function costs who joins a queue 10 us.
coalesce(:known_epoch, leasehold_internal._epoch())

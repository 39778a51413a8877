-- The fence of a grant as _fence draws it. It is a part, for a function costs a lone acquire 15 us. As a subquery it is run
-- when its value is first wanted: once the row is locked.
coalesce(:known_fence, leasehold_internal._fence())

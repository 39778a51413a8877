-- A database may have default privileges, for everybody or for a role: of all that was made nobody but the owner has any
-- right yet.
select leasehold_internal._tidy_rights();

-- The database may have default privileges, for everybody or for a role. Revoke what they gave: at first only the owner has any
-- rights.
select leasehold_internal._tidy_rights();

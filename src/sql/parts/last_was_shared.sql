-- Whether the last grant of a lease was a share. Then no transaction can guard it, and who has it locked is about to commit a
-- grant.
(lease.token is null and lease.expires_at is null and lease.fence > 0)

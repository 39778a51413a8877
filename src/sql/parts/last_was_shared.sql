-- Whether the last grant of a lease was a share. If not, the key has no shares: an exclusive grant was made under the lock, with
-- none left. If it was, no transaction can guard the root, and who has it locked is about to commit a grant, unless a
-- transaction that called try_acquire is left open.
(lease.token is null and lease.expires_at is null and lease.fence > 0)

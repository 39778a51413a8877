-- Whether a key that is not granted for the sake of its shares has none that has not ended: an open transaction keeps those from
-- being removed. It guards one, or is about to commit its end. Or there were more of them than are removed at a time.
(:last_was_shared and not exists (select from leasehold.shares s where s.key = lease.key and not :share_has_ended))

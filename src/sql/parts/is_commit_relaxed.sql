-- Whether _commit_durably has something to do, which costs 5 us to call.
(current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error')

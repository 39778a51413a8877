-- What acquire_first tells in `rest` of an answer a of acquire or acquire_one, after the number of its item. Numbers that
-- JavaScript cannot hold are texts.
a.outcome, a.fence::text, a.acquired, a.expires, a.ticket::text, a.holder, a.holderfence::text, a.holdersession, a.look,
a.blocker, a.takeover, a.since, a.proof::text

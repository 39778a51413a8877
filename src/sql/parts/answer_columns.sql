-- What acquire_first tells in `others` of an answer a of acquire or acquire_one, after the number of its item. Numbers that
-- JavaScript cannot hold are texts.
a.outcome, a.fence::text, a.acquired, a.expires, a.ticket::text, a.holder, a.holderfence::text, a.holdersession, a.nextlook,
a.blocker, a.takeover, a.since, a.proof::text

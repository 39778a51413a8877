/* Model G: never wait for a stranger's row (rule 6), for renewals.
 *
 * A process holds keys 0 and 1, and renews both in one statement, on a connection of its own.  Two others look at key 0 again and again, and have its row
 * locked for a moment each time.  What the statement finds locked is skipped, and renewed alone in a statement that waits: until it has the row, or,
 * if a stranger keeps it, until its time limit.  Then other renewals pass before it is tried again.
 * -DSTRANGER=k: a stranger's transaction keeps the row of key k locked for ever.   -DEXPIRES: key 0's lease may expire.
 *
 * A process that could go on all the time does so at some time.  That a waiting statement gets its lock in turn, and that our own locks
 * are short, is assumed.
 *
 * Default = the design.  -DR_x = one rule removed.
 *   R_SKIP    what was locked is not waited for: only skipped, and tried again later
 *   R_WAIT    the statement for all waits for each row        R_LIMIT   the statement that waits has no time limit
 *   R_TURN    what waited in vain waits again at once         R_LATER   whether it has expired is looked at before the wait
 */
#define NONE 0
#define STATEMENT 1
#define ALONE 2         /* the statement that waits, for key k */
#define NEVER 9

byte lk[2];             /* who has the row locked; 9: the stranger */
byte conn, k, todo;     /* the connection; its key; what has to be waited for, a mask */
bit  waits;             /* for the lock of row k: who comes later is behind it */
bit  ok[2];             /* renewed since it was last sent */
bit  expired, seen;

active [2] proctype Look() {
  do
  :: d_step { (lk[0] == 0 && !(waits && k == 0)) -> lk[0] = _pid + 1 }
  :: d_step { (lk[0] == _pid + 1) -> lk[0] = 0 }
  od
}
active proctype Renewals() {
  do
  :: d_step { (conn == NONE && todo == 0) -> conn = STATEMENT; k = 0; ok[0] = 0; ok[1] = 0 }
  /* one row after the other */
  :: d_step { (conn == STATEMENT && k < 2 && lk[k] == 0) -> if :: k == 0 && expired -> skip :: else -> ok[k] = 1 fi; k++ }
#ifndef R_WAIT
  :: d_step { (conn == STATEMENT && k < 2 && lk[k] != 0) -> todo = todo | (1 << k); k++ }
#endif
  :: d_step { (conn == STATEMENT && k == 2) -> conn = NONE; k = 0;
#ifdef R_SKIP
       todo = 0
#endif
     }
  :: d_step { (conn == NONE && todo > 0) -> conn = ALONE; k = (todo & 1 -> 0 : 1); waits = 1; seen = expired }
  :: d_step { (conn == ALONE && lk[k] == 0) -> todo = todo & ~(1 << k); waits = 0; conn = NONE;
#ifdef R_LATER
       if :: k == 0 && seen -> skip :: else -> assert(k != 0 || !expired); ok[k] = 1 fi;                  /* P5: an expired lease is renewed */
#else
       if :: k == 0 && expired -> skip :: else -> ok[k] = 1 fi;
#endif
       k = 0; seen = 0 }
#ifndef R_LIMIT
  :: d_step { (conn == ALONE && lk[k] == NEVER) -> waits = 0; conn = NONE; seen = 0;
#ifndef R_TURN
       todo = todo & ~(1 << k);
#endif
       k = 0 }
#endif
  od
}
active proctype Env() {
#ifdef STRANGER
  d_step { (lk[STRANGER] == 0 && !(waits && k == STRANGER)) -> lk[STRANGER] = NEVER }
#endif
#ifdef EXPIRES
  expired = 1
#else
  skip
#endif
}
#ifdef LIVE
ltl first { ([] <> ok[0]) && ([] <> !ok[0]) }
ltl second { ([] <> ok[1]) && ([] <> !ok[1]) }
#endif

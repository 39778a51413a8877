/* Model D: the queue of a key that is shared.  Order, starvation, wake-ups.
 *
 * Clients 0 .. NC-1, kinds as in shares.pml.  Client 0 is the one watched: it never crashes and never gives up.  The others
 * come again for ever, may give up a wait, and may crash (TROUBLE crashes in all).  Clients in the mask TRY do not queue.
 * A look that is not granted queues, or leaves the entry as it is.  A row of a crashed client lapses; a guard may keep it.
 *
 * Liveness (-DLIVE): a look is one step, and looks happen at any time, as polling allows.  -DSPLIT: it holds the root's lock
 *   over two steps, so that others find it busy.
 * Wake-ups (-DWAKE): no polling, no crashes; looks happen when notified, or once more after an enqueue.  A release and an
 *   enqueue commit in a later step; a notification is not lost.  Asserted: when nothing is under way, everybody who could
 *   be granted has been notified.
 *
 * -DGUARDS: a crash may leave a guard, which ends (-DOPEN: it need not).   -DQUIT: the others may stop coming.
 * -DNOORDER: P7 is not asserted, so that a liveness run shows the starvation.
 *
 * Default = shares.md with its fixes.  -DR_x = one rule removed.  -DH_x = a reading that the text allows.
 *   R_AHEAD    live waiters ahead are ignored             R_EXAHEAD  only exclusive waiters ahead count
 *   R_TRYLINE  a try ignores the queue                    R_BUSY     what was busy is not repeated waiting (with -DSPLIT)
 *   R_SKIP     the removal waits for guards               R_REMOVE   nothing that lapsed is removed
 *   R_KEEP     what a refused look removed comes back (LIM rows a look)
 *   R_HINT     the read before the lock counts rows that lapsed
 *   R_SAME     no look for the own token                  H_LATE     an own row that was revoked is late also when it lapsed
 *   R_DEADWAIT waiters that lapsed count                  R_WAKENONE a share's release notifies nobody
 *   R_WAKEBEFORE whom to wake is computed before the release commits    R_WAKEFIRST only the first waiter is notified
 *   R_RELOOK   no second look after an enqueue on a shared key          R_ABNWAKE   who gives up notifies only on a free key
 */
#ifndef NC
#define NC 3
#endif
#ifndef TRY
#define TRY 0
#endif
#ifndef TROUBLE
#define TROUBLE 1
#endif
#ifndef LIM
#define LIM 9
#endif
#ifndef LOST
#define LOST 0          /* answers of client 0 that are lost */
#endif
#ifndef K0
#define K0 0
#endif
#ifndef K1
#define K1 91
#endif
#ifndef K2
#define K2 91
#endif
#ifndef K3
#define K3 91
#endif
#define K(c)   ((c) == 0 -> K0 : ((c) == 1 -> K1 : ((c) == 2 -> K2 : K3)))
#define CAP(c) (K(c) / 10)
#define W(c)   (K(c) % 10)
#define isX(c) (K(c) == 0)
#define B(c)   (1 << (c))
#define tries(c) (TRY & B(c))

#define IDLE 0
#define ASK  1
#define WAIT 2
#define HELD 3
#define DEAD 4
#define REL1 5          /* the release has not committed */
#define NTF  6          /* it has; the notify statement has not begun */
#define ENQ  7          /* the enqueue has not committed */
#define OVER 8

byte st[NC], ord[NC];                     /* ord > 0: in the queue, at that position */
bit has[NC], gone[NC], grd[NC], rev[NC];  /* a row, or the root for an exclusive; it has lapsed; a guard keeps it; revoked */
bit lapsed[NC];                           /* the entry's alive_until is past */
bit hint[NC], relook[NC], ownreq[NC];
byte pend[NC];
byte rl, trouble, lost, wq;               /* the root's lock; wq: who waits for it, first come first, base 8 */
byte d, T, m, k, pos, top, me; bit fit, some, stop;

#define ahead(c) (ord[d] > 0 && st[d] != ENQ && (ord[c] == 0 || ord[d] < ord[c]))
#ifdef R_DEADWAIT
#define waits(c) (ahead(c))
#else
#define waits(c) (ahead(c) && !lapsed[d])
#endif

/* rule 3 */
inline fits(c) {
  d = 0; T = 0; m = 9; some = 0;
  do
  :: d < NC ->
     if
     :: d != c && (has[d] || (waits(c)
#ifdef R_AHEAD
          && 0
#endif
#ifdef R_EXAHEAD
          && isX(d)
#endif
#ifdef R_TRYLINE
          && !tries(c)
#endif
          )) -> some = 1;
        if :: isX(d) -> T = T + 10 :: else -> T = T + W(d); if :: CAP(d) < m -> m = CAP(d) :: else fi fi
     :: else
     fi; d++
  :: else -> break
  od; d = 0;
#ifdef R_SAME
  if :: has[c] -> some = 1; T = T + W(c) :: else fi;
#endif
  fit = (isX(c) -> !some : (T + W(c) <= m && T + W(c) <= CAP(c)));
  T = 0; m = 0; some = 0
}
inline leave(c) {                         /* positions stay without gaps */
  d = 0;
  if :: ord[c] > 0 -> do :: d < NC -> if :: ord[d] > ord[c] -> ord[d] = ord[d] - 1 :: else fi; d++ :: else -> break od
     :: else fi;
  ord[c] = 0; lapsed[c] = 0; d = 0
}
inline enter(c) {
  d = 0; top = 0;
  do :: d < NC -> if :: ord[d] > top -> top = ord[d] :: else fi; d++ :: else -> break od;
  ord[c] = top + 1; d = 0; top = 0
}
/* P7: nobody is granted past a live waiter that stands before it and cannot hold beside it.  P1: nor beside who holds */
inline order(c) {
  d = 0;
#ifndef NOORDER
  do
  :: d < NC ->
     if
     :: d != c && (has[d] || (ahead(c) && !lapsed[d] && (st[d] == WAIT || st[d] == ASK))) ->
        assert(!isX(c) && !isX(d) && W(c) + W(d) <= CAP(c) && W(c) + W(d) <= CAP(d))    /* P7: past a live waiter, or P1 */
     :: else
     fi; d++
  :: else -> break
  od; d = 0
#endif
}
inline remove() {                         /* rule 2; k: how many */
  d = 0; k = 0;
  do
  :: d < NC ->
     if
     :: (has[d] && gone[d] && !grd[d] && k < LIM
#ifdef R_REMOVE
        && 0
#endif
        ) -> has[d] = 0; gone[d] = 0; rev[d] = 0; pend[d] = 1; k++
     :: else
     fi; d++
  :: else -> break
  od; d = 0; k = 0
}
inline restore() {                        /* R_KEEP: the refused look rolls back */
  d = 0;
  do :: d < NC ->
#ifdef R_KEEP
     if :: pend[d] && !fit -> has[d] = 1; gone[d] = 1 :: else fi;
#endif
     pend[d] = 0; d++
  :: else -> break od; d = 0
}
#ifdef R_HINT
/* a plain read: is there a row of another, lapsed or not? */
#define unseen(c) ((has[0] && c != 0) || (has[1] && c != 1) || (has[NC-1] && c != NC-1))
#else
#define unseen(c) false
#endif
inline look(c) {
  if
#ifndef R_SAME
  :: has[c] && !gone[c] && !rev[c] -> st[c] = HELD; leave(c)                /* the same grant */
#ifdef H_LATE
  :: has[c] && rev[c] -> skip                                               /* late */
#else
  :: has[c] && rev[c] && !gone[c] -> skip
  :: has[c] && rev[c] && gone[c] && grd[c] -> skip
#endif
  :: else ->
#else
  :: has[c] && gone[c] && grd[c] -> skip
  :: else ->
#endif
     if
     :: ord[c] == 0 && unseen(c) -> skip
     :: else -> remove(); fits(c); restore()
     fi;
#ifdef R_SAME
     if :: fit && has[c] -> fit = 0 :: else fi;
#endif
     if
     :: fit -> order(c); leave(c); has[c] = 1; gone[c] = 0; rev[c] = 0;
        if
#if LOST > 0
        :: c == 0 && lost < LOST -> lost++; st[c] = WAIT
#endif
        :: st[c] = HELD
        fi
     :: !fit && !tries(c) -> if :: ord[c] == 0 -> enter(c) :: else -> lapsed[c] = 0 fi; st[c] = WAIT
     :: !fit && tries(c) -> st[c] = IDLE
     fi; fit = 0
  fi
}

#ifdef WAKE
/* the sessions of the longest prefix of the queue that may be granted now; self: what this release sees gone already */
inline notify(self, mask) {
  pos = 1; stop = 0; mask = 0;
  do
  :: pos <= NC && !stop ->
     k = 0; do :: k < NC && ord[k] != pos -> k++ :: else -> break od;
     if
     :: k == NC -> stop = 1
     :: k < NC && st[k] == ENQ -> skip
     :: else -> fits(k); if :: fit -> mask = mask | B(k) :: else -> stop = 1 fi; fit = 0
     fi;
#ifdef R_WAKEFIRST
     stop = 1;
#endif
     pos++
  :: else -> break
  od; pos = 0; k = 0; stop = 0
}
inline tell(mask) {
  d = 0; do :: d < NC -> if :: (mask & B(d)) -> hint[d] = 1 :: else fi; d++ :: else -> break od; d = 0; mask = 0
}
#define still(c) (st[c] != REL1 && st[c] != NTF && st[c] != ENQ && !relook[c] && !hint[c])
inline asleep() {
  if
  :: still(0) && still(1) && still(2) && (NC < 4 || still(NC-1)) ->
     k = 0;
     do
     :: k < NC ->
        if
        :: st[k] == WAIT -> fits(k);
           assert(!fit);                                        /* P7: asleep although it could be granted */
           fit = 0
        :: else
        fi; k++
     :: else -> break
     od; k = 0
  :: else
  fi
}
#define CHK asleep()
#else
#define CHK skip
#endif

proctype Client(byte c) {
  do
  :: d_step { (st[c] == IDLE) -> st[c] = ASK }
#ifdef QUIT
  :: d_step { (c > 0 && st[c] == IDLE) -> st[c] = OVER }
#endif
#ifdef WAKE
  :: d_step { ((st[c] == ASK || (st[c] == WAIT && (hint[c] || relook[c]))) && rl == 0) ->
       hint[c] = 0; relook[c] = 0;
       if
       :: ord[c] == 0 -> look(c); if :: st[c] == WAIT -> st[c] = ENQ; rl = c + 1 :: else fi
       :: else -> look(c)
       fi; CHK }
  :: d_step { (st[c] == ENQ) -> st[c] = WAIT; rl = 0;
#ifndef R_RELOOK
       if :: (isX(0) && has[0]) || (isX(1) && has[1]) || (isX(2) && has[2]) || (isX(NC-1) && has[NC-1]) -> skip
          :: else -> relook[c] = 1 fi;                                        /* not on a key that is held exclusively */
#endif
       CHK }
  :: d_step { (st[c] == HELD && !isX(c)) -> st[c] = REL1;
#ifdef R_WAKEBEFORE
       has[c] = 0; notify(c, pend[c]); has[c] = 1;
#endif
       CHK }
  :: d_step { (st[c] == REL1) -> st[c] = NTF; has[c] = 0;
#ifdef R_WAKEBEFORE
       st[c] = IDLE; tell(pend[c]);
#elif defined(R_WAKENONE)
       st[c] = IDLE;
#endif
       CHK }
  :: d_step { (st[c] == HELD && isX(c) && rl == 0) -> st[c] = NTF; has[c] = 0; CHK }
  :: d_step { (c > 0 && st[c] == WAIT) -> leave(c); hint[c] = 0; relook[c] = 0; st[c] = NTF;
#ifdef R_ABNWAKE
       if :: has[0] || has[1] || has[2] || has[NC-1] -> st[c] = IDLE :: else fi;
#endif
       CHK }
  :: d_step { (st[c] == NTF) -> st[c] = IDLE; notify(c, pend[c]); tell(pend[c]); CHK }
#else
#ifdef SPLIT
  /* the lock in one step, the decision in the next */
  :: d_step { ((st[c] == ASK || st[c] == WAIT) && rl != c + 1 && !ownreq[c] && rl == 0 && wq == 0) -> rl = c + 1 }
#ifdef R_BUSY
  :: d_step { ((st[c] == ASK || st[c] == WAIT) && rl != c + 1 && rl != 0) -> skip }        /* busy: later again */
#else
  :: d_step { ((st[c] == ASK || st[c] == WAIT) && rl != c + 1 && !ownreq[c] && (rl != 0 || wq != 0)) ->
       if :: wq == 0 -> wq = c + 1 :: wq > 0 && wq < 8 -> wq = wq + 8 * (c + 1) :: wq >= 8 -> wq = wq + 64 * (c + 1) fi;
       ownreq[c] = 1 }
  :: d_step { (ownreq[c] && rl == 0 && wq % 8 == c + 1) -> rl = c + 1; ownreq[c] = 0; wq = wq / 8 }
#endif
  :: d_step { (rl == c + 1) -> rl = 0; if :: st[c] == ASK || st[c] == WAIT -> look(c) :: else fi }
#else
  :: d_step { ((st[c] == ASK || st[c] == WAIT)
#ifdef R_SKIP
       && !(gone[0] && grd[0]) && !(gone[1] && grd[1]) && !(gone[NC-1] && grd[NC-1])      /* holds the root, and waits */
#endif
       ) -> look(c) }
#endif
  :: d_step { (st[c] == HELD && !grd[c]) -> has[c] = 0; gone[c] = 0; st[c] = IDLE }
  :: d_step { (c > 0 && st[c] == WAIT && rl != c + 1 && !ownreq[c] && !has[c]) -> leave(c); st[c] = IDLE }             /* gives up */
  :: d_step { (c > 0 && trouble < TROUBLE && (st[c] == WAIT || st[c] == HELD) && rl != c + 1 && !ownreq[c]) -> trouble++; st[c] = DEAD }
#ifdef GUARDS
  :: d_step { (c > 0 && trouble < TROUBLE && st[c] == HELD && rl != c + 1 && !ownreq[c]) -> trouble++; grd[c] = 1; st[c] = DEAD }
#endif
#endif
  od
}
#ifndef WAKE
proctype Time(byte c) {                   /* what lapses by itself; one process each, for fairness is per process */
  do
  :: d_step { (has[c] && !gone[c] && (st[c] == DEAD || (st[c] == WAIT && rev[c]))) -> gone[c] = 1 }
  :: d_step { (ord[c] > 0 && !lapsed[c] && st[c] == DEAD) -> lapsed[c] = 1 }
#if defined(GUARDS) && !defined(OPEN)
  :: d_step { (grd[c]) -> grd[c] = 0 }
#endif
#if LOST > 0
  :: d_step { (c == 0 && has[c] && !gone[c] && st[c] == WAIT) -> gone[c] = 1 }             /* nobody renews it */
#endif
  od
}
proctype Env() {                          /* never forced: it may stop */
  do
#if LOST > 0
  :: d_step { (has[0] && st[0] == WAIT && !rev[0] && !gone[0]) -> rev[0] = 1 }             /* by an operator */
#endif
  :: break
  od
}
#endif
init {
  atomic {
    run Client(0); run Client(1);
#if NC > 2
    run Client(2);
#endif
#if NC > 3
    run Client(3);
#endif
#ifndef WAKE
    run Time(0); run Time(1);
#if NC > 2
    run Time(2);
#endif
#if NC > 3
    run Time(3);
#endif
    run Env()
#endif
  }
}
#ifdef LIVE
#define asks (st[0] == ASK || st[0] == WAIT)
ltl served { [] (asks -> <> !asks) }
ltl trying { (<> [] (st[1] == DEAD && !grd[1])) -> ([] <> (st[0] == HELD)) }
#endif

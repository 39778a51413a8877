/* Model E: several keys at once (decision 26).
 *
 * Clients 0 .. NC-1, each with a set of keys (a mask: W0, W1, W2), and the keys 0 .. NK-1 in the order of their bytes.  The keys in
 * the mask INST are on another instance: a request reaches those of one instance only.
 *
 * A set tries all at once, one instance after the other.  Refused, it gives back what it has, and stands in line: it takes the
 * longest free prefix of what remains, waits for the next key in its queue, and so on.  A request locks rows in one step and decides in the next;
 * its answer is a step of its own.  A set that lost a part gives back the others and begins again.  Whoever is done comes again.
 * Client 0 is the one watched: it never crashes and never gives up.
 *
 * Trouble, TROUBLE times in all: a part is lost (belief ends, then the row expires), a client gives up or crashes.
 * -DLOSS=n: n requests of client 0 are asked again under the same tokens while the first may still be carried out: late, or never.
 *           Its not_after passes at some time.
 * -DSTRANGER: somebody keeps the row of key STRANGER locked for ever.
 * -DTRIES=m: the clients in this mask only try.
 *
 * Default = the design.  -DR_x = one rule removed.  -DH_x = what is not a set.
 *   R_ORDER     client 1 stands in line in the order in which it named its keys, from the last to the first
 *   R_KEEPTRY   what a refused try was granted on one instance is kept while the set stands in line
 *   R_KEEPLOST  the other parts are kept when one was lost and the set begins again
 *   R_HOLE      a set that lost a part goes on without it
 *   R_RENEW     parts are not renewed while the set waits
 *   R_PASS      a key that somebody waits for is granted to a set that does not wait for it
 *   R_SOME      a try is granted what it can get                R_DECIDE   granted by what was read before the locks
 *   R_WAITROW   a locked row is waited for, holding the others  R_NOTAFTER no not_after
 *   R_DOUBT     what a request without an answer may have been granted is not given back
 *   R_DOUBTLATE ... is given back while the request may still be carried out
 *   R_PREFIX    ... is given back at the end only, not before it waits for the next key
 *   H_NEST      client 1 is code that acquires its larger key first and then, holding it, the smaller one by itself
 */
#ifndef NC
#define NC 2
#endif
#ifndef NK
#define NK 2
#endif
#ifndef W0
#define W0 3
#endif
#ifndef W1
#define W1 3
#endif
#ifndef W2
#define W2 3
#endif
#ifndef INST
#define INST 0
#endif
#ifndef TROUBLE
#define TROUBLE 0
#endif
#ifndef LOSS
#define LOSS 0
#endif
#define ALL ((1 << NK) - 1)
#define W(c) ((c) == 0 -> W0 : ((c) == 1 -> W1 : W2))
#define B(k) (1 << (k))
#define ON(i) ((i) == 0 -> ALL & ~INST : INST)            /* the keys of an instance */
#define AT(k) ((INST & B(k)) != 0)
#define ALSO(c) ((c) + 1 + 8)                             /* a token that the client does not know to be granted */
#define own(c, k) (tk[k] == (c) + 1 || tk[k] == ALSO(c))

/* clients */
#define IDLE 0
#define TRY  1
#define GIVE 2          /* gives back, then goes on to nxt */
#define LINE 3
#define WAIT 4
#define DONE 5          /* all are granted: are all still held? */
#define WHOLE 6
#define DEAD 7
#define DOUBT 8         /* in line, and gives back what the other attempt may have been granted */
#define LETS 9          /* releases */
/* a request for several keys */
#define SENT 1
#define LOCK 2
#define ANSWERED 3
#define WAIT0 4         /* R_WAITROW: for the row of key 0, of key 1 */
#define WAIT1 5

byte tk[NK], lk[NK];    /* who holds a key, by which token; who has its row locked (client + 1; 9: a stranger) */
byte st[NC], nxt[NC], inst[NC], at[NC];       /* at: where it stands in line */
byte part[NC];          /* the keys that it believes to hold */
bit  lost[NC], doubt[NC], nav[NC];            /* a part was lost; a request has no answer; its not_after is to come */
byte wk[NC], ord[NC];   /* the key + 1 that it waits for, and its place in that queue */
byte q[NC], qm[NC], qg[NC]; bit qp[NC];       /* request: its keys, what it was granted, whether a prefix will do */
byte z, zm; bit zp;     /* client 0's first attempt, which may be carried out late; with its keys */
byte trouble, losses;
byte d, k, m, x, y, top; bit fine, stop;            /* scratch */

inline chk() {
  d = 0;
  do
  :: d < NC ->
     k = 0;
     do
     :: k < NK ->
        assert(!(part[d] & B(k)) || tk[k] == d + 1);                  /* P1: belief outlives the row */
        assert(st[d] != IDLE || !own(d, k));                          /* P10: a key is left to a set that has ended */
#ifndef H_NEST
        assert(st[d] != WAIT || !own(d, k) || k < wk[d] - 1 || (k == wk[d] - 1 && tk[k] == d + 1)); /* holds a key while it waits for a smaller one */
#endif
        k++
     :: else -> break
     od; k = 0;
     assert(st[d] != WHOLE || part[d] == W(d));            /* a set with a hole */
     d++
  :: else -> break
  od; d = 0
}
#ifdef NOCHK
#define CHK skip
#else
#define CHK chk()
#endif

inline waited() {                             /* fine: nobody waits for key k */
  fine = 1; top = 0;
  do :: top < NC -> if :: wk[top] == k + 1 -> fine = 0 :: else fi; top++ :: else -> break od; top = 0;
#ifdef R_PASS
  fine = 1
#endif
}
inline enter(c) {                             /* the queue of the key where it stands */
  wk[c] = at[c] + 1; d = 0; top = 0;
  do :: d < NC -> if :: d != c && wk[d] == wk[c] && ord[d] > top -> top = ord[d] :: else fi; d++ :: else -> break od;
  ord[c] = top + 1; d = 0; top = 0
}
inline leave(c) {
  d = 0;
  do :: d < NC -> if :: d != c && wk[d] == wk[c] && ord[d] > ord[c] -> ord[d]-- :: else fi; d++ :: else -> break od;
  wk[c] = 0; ord[c] = 0; d = 0
}
inline give(c) {                              /* key x, to token y */
  tk[x] = y; d = 0;
  do
  :: d < NC ->
     assert(d == c || !(part[d] & B(x)));                           /* P1: granted beside one who believes */
     assert(d == c || wk[d] != x + 1 || ord[d] > 1 || st[d] == DEAD || wk[c] == x + 1); /* P7: past the first in the queue */
     d++
  :: else -> break
  od; d = 0; x = 0; y = 0
}
#ifdef R_SOME
#define TAKESALL 0
#else
#define TAKESALL 1
#endif
/* a plain read before the locks.  m: what is left to ask for: all, or a prefix, or nothing */
inline hint(c, keys, prefix) {
  m = keys; k = 0; stop = 0;
  do
  :: k < NK ->
     if
     :: !(keys & B(k)) -> skip
     :: (keys & B(k)) && stop -> m = m & ~B(k)
     :: (keys & B(k)) && !stop ->
        waited();
        if :: !own(c, k) && (tk[k] != 0 || !fine) -> m = m & ~B(k); stop = TAKESALL :: else fi
     fi; k++
  :: else -> break
  od;
  if :: stop && !prefix -> m = 0 :: else fi;
  k = 0; stop = 0; fine = 0
}
/* with the locks it is a decision.  Answers are written by who calls */
inline decide(c, keys, prefix) {
  hint(c, keys, prefix);
#ifdef R_DECIDE
  m = keys;
#endif
  k = 0;
  do
  :: k < NK ->
     if
     :: (m & B(k)) && !own(c, k) ->
        if
#ifdef R_SOME
        :: tk[k] != 0 -> m = m & ~B(k)
#endif
        :: else -> x = k; y = ALSO(c); give(c)
        fi
     :: else
     fi; k++
  :: else -> break
  od; k = 0
}
inline unlock(c) { k = 0; do :: k < NK -> if :: lk[k] == c + 1 -> lk[k] = 0 :: else fi; k++ :: else -> break od; k = 0 }
#define lockedOf(c, keys) (((keys) & 1 && lk[0] != 0 && lk[0] != (c) + 1) || ((keys) & 2 && lk[1] != 0 && lk[1] != (c) + 1) || ((keys) & 4 && lk[NK-1] != 0 && lk[NK-1] != (c) + 1))

proctype Wire(byte c) {                       /* the server, for the requests of a client */
  do
#ifdef R_WAITROW
  :: d_step { (q[c] == SENT) -> hint(c, qm[c], qp[c]); qg[c] = m; q[c] = (m == 0 -> ANSWERED : WAIT0); m = 0 }
  :: d_step { (q[c] == WAIT0 && (qg[c] & 1) && lk[0] == 0) -> lk[0] = c + 1; q[c] = WAIT1 }
  :: d_step { (q[c] == WAIT0 && !(qg[c] & 1)) -> q[c] = WAIT1 }
  :: d_step { (q[c] == WAIT1 && (qg[c] & 2) && lk[1] == 0) -> lk[1] = c + 1; q[c] = LOCK }
  :: d_step { (q[c] == WAIT1 && !(qg[c] & 2)) -> q[c] = LOCK }
#else
  :: d_step { (q[c] == SENT) ->
       hint(c, qm[c], qp[c]);
       k = 0; stop = 0;
       do                                     /* skip locked: all of them, or the prefix before the first that is locked */
       :: k < NK ->
          if :: (m & B(k)) && lk[k] != 0 -> stop = 1 :: else fi;
          if :: stop -> m = m & ~B(k) :: else fi; k++
       :: else -> break
       od;
       if :: stop && !qp[c] -> m = 0 :: else fi; stop = 0; k = 0;
       do :: k < NK -> if :: m & B(k) -> lk[k] = c + 1 :: else fi; k++ :: else -> break od; k = 0;
       qg[c] = m; q[c] = (m == 0 -> ANSWERED : LOCK); m = 0 }
#endif
  :: d_step { (q[c] == LOCK) -> decide(c, qg[c], qp[c]);
       assert(qp[c] || m == 0 || m == qm[c]);                          /* a try is granted some of its keys */
       qg[c] = m; m = 0; unlock(c); q[c] = ANSWERED; CHK }
#if LOSS > 0
  /* the first attempt, at last: before the answer to the second or after; in one step */
  :: d_step { (c == 0 && z && !lockedOf(0, zm) && (nav[0]
#ifdef R_NOTAFTER
       || 1
#endif
       )) -> decide(0, zm, zp); m = 0; z = 0; zm = 0; zp = 0; CHK }
  :: d_step { (c == 0 && z) -> z = 0; zm = 0; zp = 0 }
#endif
  od
}

inline ask(c, prefix) {                       /* the keys m */
  q[c] = SENT; qm[c] = m; qp[c] = prefix; qg[c] = 0
}
inline answer(c) {                            /* what it was granted becomes a part */
  k = 0;
  do :: k < NK -> if :: (qg[c] & B(k)) && own(c, k) -> tk[k] = c + 1; part[c] = part[c] | B(k) :: else fi; k++ :: else -> break od; k = 0
}
#ifdef R_DOUBT
#define mine(c, k) (tk[k] == (c) + 1)
#else
#define mine(c, k) own(c, k)
#endif
#define has(c) (mine(c, 0) || mine(c, 1) || mine(c, NK-1))
#define mayFree(c) ((mine(c, 0) && lk[0] == 0) || (mine(c, 1) && lk[1] == 0) || (mine(c, NK-1) && lk[NK-1] == 0))
inline free(c) {                              /* each key by itself, by its token alone */
  part[c] = 0; k = 0;
  do :: k < NK -> if :: mine(c, k) && lk[k] == 0 -> tk[k] = 0 :: else fi; k++ :: else -> break od; k = 0
}
#if defined(R_DOUBTLATE) || defined(R_DOUBT)
#define certain(c) true
#else
#define certain(c) (!doubt[c] || !nav[c])
#endif
#define kept(c) ((own(c, 0) && lk[0] != 0) || (own(c, 1) && lk[1] != 0) || (own(c, NK-1) && lk[NK-1] != 0))   /* somebody has its row locked */
#define askedFor(c) (W(c) & ON(inst[c]))
#define askedOn0(c) ((W(c) & ON(0)) != 0)
/* the keys from where it stands on that are on the same instance, up to the first that is not */
inline rest(c) {
  m = 0; k = at[c]; stop = 0;
  do
  :: k < NK -> if :: (W(c) & B(k)) && AT(k) != AT(at[c]) -> stop = 1 :: (W(c) & B(k)) && AT(k) == AT(at[c]) && !stop -> m = m | B(k) :: else fi; k++
  :: else -> break
  od; k = 0; stop = 0
}
#define alone(mask) (((mask) & ((mask) - 1)) == 0)
#if defined(R_ORDER) || defined(H_NEST)
#define backwards(c) ((c) == 1)
#else
#define backwards(c) false
#endif
inline goOn(c) {                              /* to the next key that it does not have */
  at[c] = 0;
  do :: at[c] < NK && (!(W(c) & B(at[c])) || (part[c] & B(at[c]))) -> at[c]++ :: else -> break od;
  if
  :: backwards(c) -> at[c] = NK; k = 0;
     do :: k < NK -> if :: (W(c) & B(k)) && !(part[c] & B(k)) -> at[c] = k :: else fi; k++ :: else -> break od; k = 0
  :: else
  fi;
  st[c] = (at[c] >= NK -> DONE : LINE)
}
inline lostOne(c) {
#ifdef R_KEEPLOST
  lost[c] = 0; st[c] = LINE; goOn(c)
#else
  st[c] = GIVE; nxt[c] = TRY
#endif
}
#define queueFirst(c) (tk[wk[c] - 1] == 0 && lk[wk[c] - 1] == 0 && ord[c] == 1)
#ifdef TRIES
#define tries(c) (TRIES & B(c))
#else
#define tries(c) false
#endif
#ifdef R_HOLE
#define hole(c) false
#else
#define hole(c) (lost[c])
#endif

proctype Client(byte c) {
  do
#ifdef H_NEST
  :: d_step { (st[c] == IDLE && c == 1) -> goOn(c) }
#endif
  :: d_step { (st[c] == IDLE
#ifdef H_NEST
       && c != 1
#endif
       ) -> inst[c] = (askedOn0(c) -> 0 : 1); st[c] = TRY }
  :: d_step { (st[c] == TRY && q[c] == 0 && !hole(c)) -> m = askedFor(c); ask(c, 0); m = 0 }
#if LOSS > 0
  :: d_step { (c == 0 && st[c] == TRY && q[c] == 0 && !hole(c) && losses < LOSS && !doubt[0]) ->
       losses++; m = askedFor(c); ask(c, 0); z = 1; zm = m; zp = 0; doubt[0] = 1; nav[0] = 1; m = 0 }
#endif
  :: d_step { (st[c] == TRY && q[c] == ANSWERED) ->
       if :: !hole(c) -> answer(c) :: else fi;
       if
       :: hole(c) -> lostOne(c)
       :: !hole(c) && (qg[c] & askedFor(c)) == askedFor(c) ->
          if :: inst[c] == 0 && (W(c) & ON(1)) != 0 -> inst[c] = 1 :: else -> st[c] = DONE fi
       :: else ->
#if defined(R_KEEPTRY)
          goOn(c)
#else
          st[c] = GIVE; nxt[c] = (tries(c) -> IDLE : LINE)
#endif
       fi; q[c] = 0; qm[c] = 0; qg[c] = 0; qp[c] = 0; CHK }
  :: d_step { (st[c] == GIVE && certain(c) && mayFree(c)) -> free(c); CHK }
  :: d_step { (st[c] == GIVE && certain(c) && !has(c)) ->
       part[c] = 0; lost[c] = 0; doubt[c] = 0;
       if :: nxt[c] == LINE -> goOn(c) :: else -> inst[c] = (askedOn0(c) -> 0 : 1); st[c] = nxt[c] fi; nxt[c] = 0; CHK }
  /* in line: a prefix of several, else the queue of one */
  :: d_step { (st[c] == LINE && q[c] == 0 && !hole(c)) -> rest(c);
       if
       :: alone(m) || backwards(c) -> st[c] = WAIT; enter(c)
       :: else -> ask(c, 1)
       fi; m = 0; CHK }
#if LOSS > 0
  :: d_step { (c == 0 && st[c] == LINE && q[c] == 0 && !hole(c) && losses < LOSS && !doubt[0]) -> rest(c);
       if
       :: alone(m) -> st[c] = WAIT; enter(c)
       :: else -> losses++; ask(c, 1); z = 1; zm = m; zp = 1; doubt[0] = 1; nav[0] = 1
       fi; m = 0; CHK }
#endif
  :: d_step { (st[c] == LINE && q[c] == ANSWERED) ->
       rest(c); if :: !hole(c) -> answer(c) :: else fi;
       if
       :: hole(c) -> lostOne(c)
       :: !hole(c) && qg[c] == m -> goOn(c)
       :: else -> goOn(c);
          if
#ifndef R_PREFIX
          :: doubt[c] -> st[c] = DOUBT
#endif
          :: else -> st[c] = WAIT; enter(c)
          fi
       fi; q[c] = 0; qm[c] = 0; qg[c] = 0; qp[c] = 0; m = 0; CHK }
  :: d_step { (st[c] == DOUBT && certain(c) && !kept(c)) ->
       k = 0; do :: k < NK -> if :: tk[k] == ALSO(c) -> tk[k] = 0 :: else fi; k++ :: else -> break od; k = 0; doubt[c] = 0;
       if :: hole(c) -> lostOne(c) :: else -> st[c] = WAIT; enter(c) fi; CHK }
  /* a look; granted by this token already: the answer was lost */
  :: d_step { (st[c] == WAIT && !hole(c) && queueFirst(c)) -> x = wk[c] - 1; y = c + 1; give(c); part[c] = part[c] | B(wk[c] - 1); leave(c); goOn(c); CHK }
#if LOSS > 0
  :: d_step { (c == 0 && st[c] == WAIT && queueFirst(c) && losses < LOSS) -> losses++; x = wk[c] - 1; y = c + 1; give(c); CHK }
  :: d_step { (st[c] == WAIT && !hole(c) && tk[wk[c] - 1] == c + 1) -> part[c] = part[c] | B(wk[c] - 1); leave(c); goOn(c); CHK }
#endif
  :: d_step { (st[c] == WAIT && hole(c)) -> leave(c); lostOne(c); CHK }
  :: d_step { ((st[c] == TRY || st[c] == LINE) && q[c] == 0 && hole(c)) -> lostOne(c); CHK }
  :: d_step { (st[c] == DONE) -> if :: hole(c) -> lostOne(c) :: else -> st[c] = WHOLE; lost[c] = 0 fi; CHK }
  :: d_step { (st[c] == WHOLE) -> st[c] = LETS; part[c] = 0; lost[c] = 0 }
  :: d_step { (st[c] == LETS && mayFree(c)) -> free(c); CHK }
  :: d_step { (st[c] == LETS && !has(c)) -> st[c] = (doubt[c] -> GIVE : IDLE); nxt[c] = IDLE; CHK }
  /* trouble */
  :: d_step { (c > 0 && trouble < TROUBLE && (st[c] == WAIT || st[c] == TRY && q[c] == 0)) -> trouble++; leave(c); st[c] = GIVE; nxt[c] = IDLE; CHK }
  :: d_step { (c > 0 && trouble < TROUBLE && st[c] != IDLE && st[c] != DEAD && q[c] != LOCK) -> trouble++; st[c] = DEAD; part[c] = 0; q[c] = 0; qm[c] = 0; qg[c] = 0; qp[c] = 0; lost[c] = 0 }
  od
}
#define waits(c) (st[c] == WAIT || st[c] == DOUBT || st[c] == LINE || st[c] == TRY)

/* whose client is gone, or does not believe in it any more: nobody renews it */
#define client(k) ((tk[k] - 1) % 8)
#define lapses(k) (tk[k] > 0 && lk[k] == 0 && (st[client(k)] == DEAD || (lost[client(k)] && tk[k] < 8 && !(part[client(k)] & B(k)) && wk[client(k)] != k + 1)))
proctype Time() {
  do
  :: d_step { (lapses(0)) -> tk[0] = 0 }
  :: d_step { (lapses(1)) -> tk[1] = 0 }
#if NK > 2
  :: d_step { (lapses(2)) -> tk[2] = 0 }
#endif
  :: d_step { (st[1] == DEAD && wk[1] > 0) -> leave(1) }
#if NC > 2
  :: d_step { (st[2] == DEAD && wk[2] > 0) -> leave(2) }
#endif
  od
}
proctype NotAfter() { do :: d_step { (nav[0]) -> nav[0] = 0 } od }
proctype Env() {                              /* never forced */
  do
  :: d_step { (trouble < TROUBLE && waits(0) && (part[0] & 1)) -> trouble++; part[0] = part[0] & ~1; lost[0] = 1 }
  :: d_step { (trouble < TROUBLE && waits(1) && (part[1] & 1)) -> trouble++; part[1] = part[1] & ~1; lost[1] = 1 }
  :: d_step { (trouble < TROUBLE && st[0] == DONE && (part[0] & 2)) -> trouble++; part[0] = part[0] & ~2; lost[0] = 1 }
#ifdef R_RENEW
  :: d_step { (st[0] == WAIT && (part[0] & 1)) -> part[0] = part[0] & ~1; lost[0] = 1 }
#endif
  :: break
  od
}
#ifdef STRANGER
proctype Stranger() { d_step { (lk[STRANGER] == 0) -> lk[STRANGER] = 9 } }
#endif

init {
  atomic {
    run Client(0); run Wire(0); run Client(1); run Wire(1);
#if NC > 2
    run Client(2); run Wire(2);
#endif
    run Time(); run NotAfter(); run Env();
#ifdef STRANGER
    run Stranger()
#endif
  }
}
#ifdef LIVE
ltl served { [] ((st[0] != IDLE) -> <> (st[0] == WHOLE)) }
#endif

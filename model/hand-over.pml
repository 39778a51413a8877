/* Model F: a lock changes hands by a new token (decision 25), and whose presence a lease has (decision 17).  One key.
 *
 * A holds it under token 1.  It may have an attempt to acquire that had no answer and may still be carried out.  It takes its lease off its
 * session (detach), ends its handle once that was answered, and gives the token to receivers 0 and 1, who may both try to adopt it, each
 * under a token of its own.  Receiver 0 asks twice under the same token: each request may be carried out late, or never.  Whoever has adopted it
 * believes, renews (for longer, too), releases.  C takes the key whenever it may be granted.
 *
 * Clock: all timers count down together, time is unbounded.  No other step is ever forced, so everybody may freeze anywhere.
 * PRES: who has a session: 1 A, 2 receiver 0, 4 receiver 1, 8 the helper.  Of a session that is cut the bound of its heartbeat passes
 * before it can be proven dead (ownership.pml has that with timers).
 *
 * -DEAGER: receivers know the token, and try to adopt, although A does not let go.     -DHELPER: somebody with a session renews A's lease, and ends.
 *
 * Default = the design.  -DR_x = one rule removed.
 *   R_DETACH   the lease stays on A's session            R_TOKEN   the token stays: an adoption only renews
 *   R_ATTACHED adopted although its session is alive     R_GUARD   an adoption passes A's open guard
 *   R_CERTAIN  a detach does not wait until A's attempt without an answer cannot be carried out any more
 *   R_HELPER   who renews through a session of its own takes the lease's presence along
 *   R_SHRINK   an adoption that is carried out again shortens what has been renewed since
 *   R_STRICT   an expired lease is adopted               R_NOTAFTER adopt has no not_after
 *   R_REPEAT   an adoption that was given up has no last word
 */
#ifndef PRES
#define PRES 1
#endif
#ifndef CUTS
#define CUTS 1
#endif
#define TTL  2
#define LONG 3
#define has(p) ((PRES >> (p)) & 1)
#define RTOK(r) ((r) + 2)
#define CTOK 4

/* A */
#define HELD 1
#define GIVEN 2         /* its handle has ended, and others have the token */
/* receivers */
#define ASK  3
#define LET  4          /* releases, or has given up */
#define OVER 5
#define SENT 1
#define DONE 2

byte tok = 1, ttl = TTL, sess = PRES & 1;                /* the row; sess: of A 1, of receiver r r + 2, of the helper 4 */
bit  guard;                                   /* A's open guarded transaction */
byte a = HELD, a_bt = TTL, late = 1;          /* A's state, its bound; late: an attempt to acquire may still be carried out */
byte r[2], bt[2]; bit nav[2];                 /* receivers: state, bound, not_after to come */
byte q[4], el[2], rem[3]; bit res[4];         /* requests: 0, 1 adoptions of receiver 0, 2 of receiver 1, 3 a detach */
byte n, n_el, n_rem;                          /* a renewal of receiver 0 */
byte c_bt;
bit  down[4], hbp[4], dead[4]; byte cuts;     /* sessions of A, receivers, helper */

#define believesA (a == HELD && a_bt > 0 && !(has(0) && hbp[0]))
#define believes(i) (r[i] == HELD && bt[i] > 0 && !(has((i) + 1) && hbp[(i) + 1]))
#define live (tok > 0 && ttl > 0)
#define gone (sess > 0 && dead[sess - 1])
#define atMost(x, v) if :: (v) > x -> x = (v) :: else fi
#define left(i) (rem[i] > el[i] -> rem[i] - el[i] : 0)

inline chk() {
  assert(!believesA || tok == 1);                                     /* P1: A believes, and another has it */
  assert(believesA + believes(0) + believes(1) + (c_bt > 0) < 2);     /* P1: two believe */
  assert(!believes(0) || (tok == 2 && ttl >= bt[0]) || tok == 1);     /* P1: belief outlives the row */
  assert(!(guard && (believes(0) || believes(1) || c_bt > 0)));       /* P3: the old holder's guarded transaction is still to commit */
  assert(!(r[0] == OVER && live && tok == 2));                        /* P10: a lock that nobody will ever look at */
  assert(!(r[1] == OVER && live && tok == 3))                         /* P10: a lock that nobody will ever look at */
}
#if defined(R_ATTACHED) || defined(R_DETACH)
#define mayAdopt(i) true
#else
#define mayAdopt(i) (sess == 0 || sess == RTOK(i) || gone)
#endif
inline adopt(i, s) {                          /* receiver i, request s */
  if
  :: (tok == 1 || tok == RTOK(i)) && (ttl > 0
#ifdef R_STRICT
     || 1
#endif
     ) && mayAdopt(i) && (!guard
#ifdef R_GUARD
     || 1
#endif
     ) && (nav[i]
#ifdef R_NOTAFTER
     || 1
#endif
     ) ->
     assert(ttl > 0);                                                 /* P5: an expired lease is adopted */
#ifdef R_SHRINK
     ttl = TTL;
#else
     if :: tok == RTOK(i) -> atMost(ttl, TTL) :: else -> ttl = TTL fi;
#endif
#ifndef R_TOKEN
     tok = RTOK(i);
#endif
#ifndef R_DETACH
     sess = (has(i + 1) -> RTOK(i) : 0);
#endif
     res[s] = 1; rem[s] = ttl
  :: else -> res[s] = 0
  fi; q[s] = DONE
}
inline answer(i, s) {
  if
  :: res[s] && r[i] == ASK -> r[i] = HELD; bt[i] = left(s)
  :: res[s] && r[i] == HELD -> atMost(bt[i], left(s))
  :: else
  fi;
  q[s] = 0; el[s] = 0; rem[s] = 0; res[s] = 0
}

active proctype Clock() {
  do
  :: d_step {
       if :: ttl > 0 -> ttl-- :: else fi; if :: a_bt > 0 -> a_bt-- :: else fi;
       if :: bt[0] > 0 -> bt[0]-- :: else fi; if :: bt[1] > 0 -> bt[1]-- :: else fi; if :: c_bt > 0 -> c_bt-- :: else fi;
       if :: q[0] > 0 && el[0] < LONG -> el[0]++ :: else fi; if :: q[1] > 0 && el[1] < LONG -> el[1]++ :: else fi;
       if :: n > 0 && n_el < LONG -> n_el++ :: else fi }
  od
}
active proctype Server() {
  do
  :: d_step { (q[0] == SENT) -> adopt(0, 0); chk() }
  :: d_step { (q[1] == SENT) -> adopt(0, 1); chk() }
  :: d_step { (q[0] > 0) -> q[0] = 0; el[0] = 0; rem[0] = 0; res[0] = 0 }             /* a request or an answer is lost */
  :: d_step { (q[1] > 0) -> q[1] = 0; el[1] = 0; rem[1] = 0; res[1] = 0 }
  :: d_step { (q[3] > 0) -> q[3] = 0; res[3] = 0 }
  :: d_step { (q[3] == SENT) -> if :: tok == 1 && ttl > 0 -> ttl = TTL; res[3] = 1;
#ifndef R_DETACH
       sess = 0
#endif
       :: else -> res[3] = 0 fi; q[3] = DONE; chk() }
  :: d_step { (n == SENT) -> if :: tok == 2 && ttl > 0 -> atMost(ttl, LONG); n_rem = ttl :: else -> n_rem = 0 fi; n = DONE; chk() }
  :: d_step { (n > 0) -> n = 0; n_el = 0; n_rem = 0 }
  /* A's attempt without an answer */
  :: d_step { (late && (tok == 0 || ttl == 0 || gone) && !guard && !down[0]) ->
       tok = 1; ttl = TTL; sess = (has(0) -> 1 : 0); late = 0; assert(a == HELD) }   /* P10: A's grant under a token that it gave away */
  :: d_step { (late) -> late = 0 }                                                   /* its not_after passes */
  od
}
#ifdef EAGER
#define known true
#define letsGo false
#else
#define known (a == GIVEN)
#define letsGo true
#endif
active proctype A() {
  do
  :: d_step { (a == HELD && tok == 1 && ttl > 0 && !down[0]) -> atMost(ttl, TTL); a_bt = ttl; chk() }     /* renewed, and answered at once */
  :: d_step { (a == HELD && tok == 1 && ttl > 0 && !guard) -> guard = 1; chk() }
  :: d_step { (guard) -> guard = 0 }
  :: d_step { (letsGo && a == HELD && q[3] == 0 && a_bt > 0
#ifndef R_CERTAIN
       && !late
#endif
       ) -> q[3] = SENT }
  :: d_step { (q[3] == DONE) -> if :: res[3] && a == HELD -> a = GIVEN; a_bt = 0 :: else fi; q[3] = 0; res[3] = 0; chk() }
  od
}
#define RECEIVER(i) \
  :: d_step { (nav[i]) -> nav[i] = 0 } \
  :: d_step { (r[i] == HELD) -> r[i] = LET; bt[i] = 0 } \
  :: d_step { (r[i] == LET && tok == RTOK(i)) -> tok = 0; ttl = 0; sess = 0 } \
  :: d_step { (r[i] == LET && !nav[i]) -> if :: tok == RTOK(i) -> tok = 0; ttl = 0; sess = 0 :: else fi; r[i] = OVER; chk() }
#ifdef R_REPEAT
#define GIVEUP OVER
#else
#define GIVEUP LET
#endif
active proctype Receivers() {
  do
  RECEIVER(0)
  RECEIVER(1)
  :: d_step { (r[0] == 0 && known && !down[1]) -> r[0] = ASK; q[0] = SENT; nav[0] = 1 }
  :: d_step { (q[0] == DONE) -> answer(0, 0); chk() }
  :: d_step { (r[0] == ASK) -> r[0] = GIVEUP; chk() }
  /* receiver 1 asks once, and has an answer at once, or none */
  :: d_step { (r[1] == 0 && known && !down[2]) -> nav[1] = 1; adopt(1, 2); r[1] = (res[2] -> HELD : LET); bt[1] = (res[2] -> ttl : 0); q[2] = 0; res[2] = 0; rem[2] = 0; chk() }
  :: d_step { (r[1] == 0 && known && !down[2]) -> nav[1] = 1; adopt(1, 2); r[1] = GIVEUP; q[2] = 0; res[2] = 0; rem[2] = 0; chk() }
  /* again under the same token: the first had no answer */
  :: d_step { (r[0] == ASK && q[1] == 0 && q[0] != 0 && nav[0]) -> q[1] = SENT }
  :: d_step { (q[1] == DONE) -> answer(0, 1); chk() }
  :: d_step { (r[0] == HELD && n == 0 && !down[1]) -> n = SENT }
  :: d_step { (n == DONE) -> if :: r[0] == HELD && n_rem > n_el -> atMost(bt[0], n_rem - n_el) :: else fi; n = 0; n_el = 0; n_rem = 0; chk() }
  od
}
active proctype C() {
  do
  :: d_step { ((tok == 0 || ttl == 0 || gone) && !guard && c_bt == 0) -> tok = CTOK; ttl = TTL; sess = 0; c_bt = TTL; chk() }
  :: d_step { (tok == CTOK) -> tok = 0; ttl = 0; c_bt = 0 }
  od
}
#define CUT(p) \
  :: d_step { (has(p) && !down[p] && cuts < CUTS) -> down[p] = 1; cuts++ } \
  :: d_step { (down[p] && !hbp[p]) -> hbp[p] = 1 } \
  :: d_step { (down[p] && hbp[p] && !dead[p]) -> dead[p] = 1 }
active proctype Sessions() {
  do
  CUT(0)
  CUT(1)
  CUT(2)
#ifdef HELPER
  CUT(3)
  :: d_step { (tok == 1 && ttl > 0 && !down[3]) -> atMost(ttl, TTL);
#ifdef R_HELPER
       sess = 4
#endif
     }
#endif
  od
}

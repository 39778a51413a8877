/* Model C: shares of one key.  Exclusion, bounds, fences, guards, tokens, presence, the sweeper.
 *
 * Clients 0 .. NC-1, each with a kind: EX exclusive, 91 a read lock, else capacity * 10 + weight (a semaphore).
 * An acquire runs in steps: lock the root; look for the own token and remove what lapsed; count what is there (a later
 * snapshot), decide, write and commit.  Releases, renewals and guards take no lock on the root and come between these steps.
 *
 * Time is order, not length: a client's bound passes before its row expires, a heartbeat bound before the session can be
 * proven dead (ownership.pml proves both with timers).  No step is ever forced, so every process may freeze anywhere.
 * There is no queue here (shares-waiting.pml): who is refused asks again.
 *
 * Default = shares.md.  -DR_x = one rule removed.  -DH_x = a reading or a shortcut that the text allows or invites.
 *   R_ROOT      a share grant leaves the token in the root        R_ROOTFENCE a share grant leaves the fence of the root
 *   R_SNAP      counted by a snapshot older than the root's lock  R_SKIPCOUNT rows that were skipped are not counted
 *   R_MARKREM   removal by an update, which passes a guard        R_FORUPDATE the root locked FOR NO KEY UPDATE
 *   R_OWNCAP    only the own capacity is respected                R_FASTQ     the fast path ignores queued
 *   R_LAST      a share grant does not say that it was one        R_CLEAR     queued is false after a share grant
 *   H_RELCLEAR  the last release clears queued, without the lock
 *   R_ROOTHOLD  a share ignores the minimum hold in the root      R_HOLD      a released row is removed in its minimum hold
 *   R_SWEEP     a root is deleted although it has shares          R_SWEEPLOCK ... was seen without shares before its lock
 *   R_STRICT    an expired share is renewed                       R_RENTOK    renewed by the token alone
 *   R_RELTOK    released by the token alone                       R_SAME      no look for the own token
 *   R_SAMEEXP   an expired row of the token is the same grant     R_SAMEREL   a released row of the token is the same grant
 *   H_SAMEFITS  an expired row is replaced without rule 3         R_NOTAFTER  no not_after
 *   R_REPEAT    no last word                                      R_DOUBT     the last word takes no lock on the root
 *   R_DOUBTSNAP ... and looks only before it has the lock         H_DOUBTFOUND ... locks it only if it finds no row
 *   R_XACT      the proof of death is not held to the commit
 *   R_UNIQUE    no unique key, token (with R_SAME)                H_COUNTREM  counted in the statement that removes
 *   H_READERS   a reader without a bound does not count what lapsed
 *   R_DEADRENEW a session that comes back believes without a renewal
 */
#ifndef NC
#define NC 3
#endif
#ifndef MAXF
#define MAXF 4          /* grants */
#endif
#ifndef CUTS
#define CUTS 1          /* sessions lost */
#endif
#ifndef SLOTS
#define SLOTS 1         /* attempts of one acquire in flight */
#endif
#ifndef HOLDS
#define HOLDS 0         /* releases that leave a minimum hold */
#endif
#define EX 0
#ifndef K0
#define K0 EX
#endif
#ifndef K1
#define K1 91
#endif
#ifndef K2
#define K2 91
#endif
#define K(c)   ((c) == 0 -> K0 : ((c) == 1 -> K1 : K2))
#define CAP(c) (K(c) / 10)
#define W(c)   (K(c) % 10)
#define isX(c) (K(c) == EX)
#define B(c)   (1 << (c))
#define SWP 15          /* the sweeper has the root */

/* clients */
#define IDLE 0
#define ASK  1
#define HELD 2
#define LET  3          /* lost, or letting go: believes no more */
#define ABN  4          /* the last word is owed */
#define OVER 5
#define GONE 6
/* an attempt */
#define SENT 1
#define TX   2
#define DONE 3
#define NO   0
#define OK   1
#define PAST 2          /* granted, and expired since: its bound has passed */

bit rp, rq, re, rh, rs; /* root: present, queued, expired, minimum hold, last granted as a share */
byte rt, rf, wal;       /* its token (client + 1), its fence; what the log has reached when a root was deleted */
byte rl, step, xdel, xshl; /* who has it locked FOR UPDATE; step; rows deleted and sessions locked, not committed */
bit sp[NC], se[NC], sr[NC], sh[NC];   /* share rows: present, expired, released mark, its minimum hold */
byte sf[NC];
bit g[NC];              /* open guarded transaction (KEY SHARE on the row, or on the root) */
byte st[NC], fn[NC];    /* client: state, the fence it knows */
bit hbp[NC], prov[NC], down[NC], dead[NC];  /* heartbeat bound past; lease proven; session cut; takeover delay past */
bit nav[NC], more[NC];  /* not_after to come; an attempt is in doubt */
byte q[NC*SLOTS], qr[NC*SLOTS], qf[NC*SLOTS], qn[NC*SLOTS]; bit qt[NC*SLOTS];
byte n[NC], nf[NC]; bit nt[NC];       /* renewal: 1 sent, 2 renewed, 3 lost */
byte maxf, cuts, holds, clearing;
#ifdef REVIVED
byte was[NC];           /* the fence that was released by a mark */
#endif
byte d, T, m, f, v; bit fit, some;    /* scratch */

#ifdef PRES
#define believes(c) (st[c] == HELD && !hbp[c] && prov[c])
#define alive(c, tag) (!down[c] && (tag))
#else
#define believes(c) (st[c] == HELD)
#define alive(c, tag) true
#endif
#define live(c)  (isX(c) -> (rt == (c) + 1 && !re) : (sp[c] && !se[c] && !sr[c]))
#define mine(c)  (isX(c) -> (rt == (c) + 1 && rf == fn[c] && !re) : (sp[c] && sf[c] == fn[c] && !se[c] && !sr[c]))
#define acts(c)  (believes(c) || g[c])
#define kept(c)  ((live(c) && !dead[c] && !(xdel & B(c))) || (!isX(c) && sp[c] && sr[c] && sh[c]))
#define rootguard ((g[0] && isX(0)) || (g[1] && isX(1)) || (NC > 2 && g[NC-1] && isX(NC-1)))
#define S0(c) ((c) * SLOTS)
#define S1(c) ((c) * SLOTS + SLOTS - 1)
#define quiet(c) (q[S0(c)] == 0 && q[S1(c)] == 0)

/* the weights of those whom cond holds for, and the least of their capacities; an exclusive one counts as everything */
#define EVERY(cond) \
  d = 0; T = 0; m = 9; some = 0; \
  do \
  :: d < NC -> \
     if \
     :: (cond) -> some = 1; \
        if :: isX(d) -> T = T + 10 :: else -> T = T + W(d); if :: CAP(d) < m -> m = CAP(d) :: else fi fi \
     :: else \
     fi; d++ \
  :: else -> break \
  od; d = 0

inline chk() {
  EVERY(acts(d));
  assert(T <= 10);                                              /* P1, P3: somebody acts beside an exclusive one */
  assert(T == 10 || T <= m);                                    /* P1, P3: more than a bound act at once */
  T = 0; m = 0; some = 0;
  do
  :: d < NC ->
     assert(!believes(d) || mine(d));                           /* P1: belief outlives the row */
     assert(st[d] != OVER || !live(d));                         /* P10: a grant that nobody will ever look at */
#ifdef REVIVED
     assert(was[d] == 0 || sf[d] != was[d] || sr[d]);           /* P5: a released share is back */
#endif
#ifndef NOFLAG
     assert(!sp[d] || (rp && rq && rs));                        /* a share implies its root, queued, and that the last grant was one */
#endif
     d++
  :: else -> break
  od; d = 0
}

inline clr(s) { q[s] = 0; qr[s] = 0; qf[s] = 0; qt[s] = 0; qn[s] = 0 }
inline delrow(c) { sp[c] = 0; sf[c] = 0; se[c] = 0; sr[c] = 0; sh[c] = 0 }
inline finish(s, r, fence) {              /* commit: what was removed stays removed, also when it is refused */
  d = 0;
  do :: d < NC -> if :: xdel & B(d) -> delrow(d) :: else fi; d++ :: else -> break od; d = 0;
  xdel = 0; xshl = 0; step = 0; rl = 0; q[s] = DONE; qr[s] = r; qf[s] = fence
}
inline grant(c, s) {
#ifdef WALFENCE
  f = maxf + 1;                                                 /* as the log gives it */
#else
  f = (rf > wal -> rf : wal) + 1;                               /* the worst case: the log is behind the root's fence */
#endif
  if
  :: f > MAXF -> finish(s, NO, 0)
  :: else ->
     assert(f > maxf); maxf = f;                                /* P2 */
     EVERY(d != c && kept(d));
     assert(!isX(c) || !some);                                  /* P1: exclusive beside a live lease or a minimum hold */
     assert(isX(c) || T < 10);                                  /* P1: share beside a live exclusive */
     assert(isX(c) || (T + W(c) <= m && T + W(c) <= CAP(c)));   /* P1: bound */
     assert(!rh);                                               /* minimum hold of an exclusive */
     T = 0; m = 0; some = 0;
     if
     :: isX(c) -> rt = c + 1; rf = f; re = 0; rh = 0; rq = 0; rs = 0
     :: else ->
#ifndef R_ROOT
        rt = 0; re = 0;
#endif
#ifndef R_ROOTFENCE
        rf = f;
#endif
        rh = 0;
#ifndef R_LAST
        rs = 1;
#endif
#ifdef R_CLEAR
        rq = 0;
#else
        rq = 1;
#endif
#ifdef R_UNIQUE
        if :: sp[c] && !(xdel & B(c)) -> assert(false) :: else fi;   /* two rows for one token: one outlives its release */
#endif
        xdel = xdel & ~B(c); delrow(c);
        sp[c] = 1; sf[c] = f
     fi;
     rp = 1; finish(s, OK, f)
  fi; f = 0
}
#ifdef R_SKIPCOUNT
#define counted(x) (sp[x] && !(xdel & B(x)) && !((sr[x] && !sh[x]) || (!sr[x] && se[x])))
#elif defined(H_READERS)
#define counted(x) (sp[x] && !(xdel & B(x)) && !(W(me) == 1 && CAP(me) == 9 && ((sr[x] && !sh[x]) || (!sr[x] && se[x]))))
#elif defined(R_SNAP)
#define counted(x) ((qn[sl] & B(x)) && !(xdel & B(x)))
#else
#define counted(x) (sp[x] && !(xdel & B(x)))
#endif
#ifdef R_HOLD
#define removable(x) (sp[x] && (sr[x] || se[x]))
#else
#define removable(x) (sp[x] && ((sr[x] && !sh[x]) || (!sr[x] && se[x])))
#endif
#ifdef R_MARKREM
#define passes(x) true
#else
#define passes(x) (!g[x])
#endif
inline fits(c) {
  EVERY(counted(d));
  fit = (isX(c) -> (!rs || !some) : (T + W(c) <= CAP(c)
#ifndef R_OWNCAP
         && T + W(c) <= m
#endif
         ));
  T = 0; m = 0; some = 0
}
inline removeLapsed() {
  d = 0;
  do
  :: d < NC -> if :: removable(d) && passes(d) -> xdel = xdel | B(d) :: else fi; d++
  :: else -> break
  od; d = 0
}
/* rule 7: a session proven dead, with its try-lock held until the commit */
inline removeDead() {
  d = 0; some = 0;
  do
  :: d < NC ->
     if
     :: sp[d] && !sr[d] && !(xdel & B(d)) && down[d] && dead[d] && passes(d) ->
        xdel = xdel | B(d); some = 1;
#ifndef R_XACT
        xshl = xshl | B(d)
#endif
     :: else
     fi; d++
  :: else -> break
  od; d = 0
}
#define holderdead (rt > 0 && down[rt-1] && dead[rt-1])
#define rootfree ((rt == 0 || re || holderdead) && (!rh || ROOTHOLD))
#ifdef R_ROOTHOLD
#define ROOTHOLD (!isX(me))
#else
#define ROOTHOLD false
#endif

/* step 1: the root is locked.  The fast path and the insert of a missing key are one statement */
inline locked(c, s) {
  q[s] = TX;
  if
  :: !alive(c, qt[s]) -> finish(s, NO, 0)
#ifndef R_NOTAFTER
  :: alive(c, qt[s]) && !nav[c] -> finish(s, NO, 0)                       /* late */
  :: alive(c, qt[s]) && nav[c] ->
#else
  :: alive(c, qt[s]) ->
#endif
     if
     :: isX(c) && !rp -> grant(c, s)
     :: isX(c) && rp && rt == 0 && !rh && (!rq
#ifdef R_FASTQ
        || 1
#endif
        ) -> grant(c, s)
     :: else -> rl = s + 1; step = 1
     fi
  fi
}
/* step 2: the own token, the root, what lapsed */
inline looked(c, s) {
  if
  :: isX(c) && rt == c + 1 && !re -> finish(s, OK, rf)
#ifndef R_SAME
  :: !isX(c) && sp[c] && !sr[c] && !se[c] -> finish(s, OK, sf[c])
#ifdef R_SAMEREL
  :: !isX(c) && sp[c] && sr[c] -> sr[c] = 0; sh[c] = 0; finish(s, OK, sf[c])
#else
  :: !isX(c) && sp[c] && sr[c] -> finish(s, NO, 0)                        /* late */
#endif
#ifdef R_SAMEEXP
  :: !isX(c) && sp[c] && !sr[c] && se[c] -> finish(s, OK, sf[c])
#else
  :: !isX(c) && sp[c] && !sr[c] && se[c] && g[c] -> finish(s, NO, 0)      /* skipped: busy */
#ifdef H_SAMEFITS
  :: !isX(c) && sp[c] && !sr[c] && se[c] && !g[c] -> xdel = xdel | B(c); grant(c, s)
#endif
#endif
#endif
  :: else ->
     if
     :: !rootfree -> finish(s, NO, 0)
     :: else ->
        if :: holderdead && !re -> xshl = xshl | B(rt - 1) :: else fi;
        removeLapsed();
#ifdef H_COUNTREM
        fits(c);
        if :: fit -> fit = 0; grant(c, s) :: else -> step = 2 fi
#else
        step = 2
#endif
     fi
  fi
}
/* step 3: a later snapshot */
inline decided(c, s) {
  fits(c);
  if
  :: fit ->
#if defined(R_SAME) && !defined(R_UNIQUE)
     if :: !isX(c) && sp[c] && !(xdel & B(c)) -> finish(s, NO, 0) :: else -> grant(c, s) fi    /* not inserted: busy */
#else
     grant(c, s)
#endif
  :: !fit && step == 2 -> removeDead(); if :: some -> step = 3 :: else -> finish(s, NO, 0) fi; some = 0
  :: !fit && step == 3 -> finish(s, NO, 0)
  fi; fit = 0
}

inline send(c, s) { q[s] = SENT; qt[s] = 1; nav[c] = 1 }
inline answered(c, s) {
  if
  :: st[c] == ASK && qr[s] == OK -> st[c] = HELD; fn[c] = qf[s]; prov[c] = qt[s]
  :: st[c] == ASK && qr[s] == PAST -> st[c] = LET; fn[c] = qf[s]
  :: st[c] == HELD && qr[s] == OK && qf[s] > fn[c] -> fn[c] = qf[s]; prov[c] = qt[s]
  :: st[c] == HELD && qr[s] == OK && qf[s] == fn[c] && qt[s] -> prov[c] = 1
  :: else
  fi;
  clr(s)
}
inline let(c) { st[c] = LET; prov[c] = 0 }
inline ended(c) {
#ifdef R_REPEAT
  st[c] = OVER;
#else
  if :: more[c] || !quiet(c) -> st[c] = ABN :: else -> st[c] = OVER fi;
#endif
  n[c] = 0; nf[c] = 0; nt[c] = 0; prov[c] = 0
}
#ifdef REVIVED
#define MARKED(c) was[c] = sf[c]
#else
#define MARKED(c) skip
#endif
/* release by token and fence; hold: with a minimum hold */
inline released(c, hold) {
  if
  :: isX(c) && rt == c + 1 && rf == fn[c] -> rt = 0; rh = (hold && !re); re = 0
  :: !isX(c) && sp[c] && !sr[c] && (sf[c] == fn[c]
#ifdef R_RELTOK
     || 1
#endif
     ) ->
     assert(sf[c] == fn[c]);                                    /* P4: a stale release hits a newer grant */
     if :: g[c] || (hold && !se[c]) -> sr[c] = 1; sh[c] = (hold && !se[c]); MARKED(c) :: else -> delrow(c) fi;
#ifdef H_RELCLEAR
     EVERY(sp[d]); if :: !some -> clearing = 1 :: else fi; T = 0; m = 0; some = 0
#endif
  :: else
  fi
}
inline abandoned(c) {                     /* by the token alone */
  if
  :: isX(c) && rt == c + 1 -> rt = 0; re = 0
  :: !isX(c) && sp[c] && !sr[c] -> if :: g[c] -> sr[c] = 1 :: else -> delrow(c) fi
  :: else
  fi
}
#define rowlocked(c) (xdel & B(c))
#ifdef R_DOUBT
#define mayabandon(c) (isX(c) -> rl == 0 : !rowlocked(c))
#elif defined(H_DOUBTFOUND)
#define mayabandon(c) (isX(c) -> rl == 0 : !rowlocked(c) && ((sp[c] && !sr[c]) || rl == 0))
#else
#define mayabandon(c) (rl == 0)
#endif

#define STEPS(s) \
  :: d_step { (q[s] == GO && rl == 0 && LOCKS) -> me = c; sl = s; locked(c, s); me = 0; sl = 0; chk() } \
  :: d_step { (q[s] == TX && rl == s + 1 && step == 1) -> me = c; sl = s; looked(c, s); me = 0; sl = 0; chk() } \
  :: d_step { (q[s] == TX && rl == s + 1 && step > 1) -> me = c; sl = s; decided(c, s); me = 0; sl = 0; chk() } \
  :: d_step { (q[s] == DONE) -> answered(c, s); chk() }
#ifdef R_SNAP
#define GO 4
#else
#define GO SENT
#endif
#ifdef R_FORUPDATE
#define LOCKS (!isX(c) || !rootguard)
#else
#define LOCKS (!rootguard)
#endif
byte me, sl;
#ifdef LOSS
#define LOSES(s) \
  :: d_step { (q[s] == SENT || q[s] == DONE) -> clr(s); more[c] = 1 } \
  :: d_step { (q[s] == TX && rl == s + 1) -> rl = 0; step = 0; xdel = 0; xshl = 0; clr(s); more[c] = 1 }   /* rolled back */
#else
#define LOSES(s)
#endif

proctype Client(byte c) {
  do
  :: d_step { (st[c] == IDLE && maxf < MAXF && !down[c]) -> st[c] = ASK; send(c, S0(c)) }
  :: d_step { (st[c] == ASK && quiet(c) && maxf < MAXF && !down[c]) -> send(c, S0(c)) }      /* refused: again */
#if SLOTS > 1
  :: d_step { (st[c] == ASK && !down[c] && q[S0(c)] != 0 && q[S1(c)] == 0) -> send(c, S1(c)); more[c] = 1 }
#endif
  STEPS(S0(c))
  LOSES(S0(c))
#if SLOTS > 1
  STEPS(S1(c))
  LOSES(S1(c))
#endif
#ifdef R_SNAP
  :: d_step { (q[S0(c)] == SENT) -> q[S0(c)] = 4; d = 0;
       do :: d < NC -> if :: sp[d] -> qn[S0(c)] = qn[S0(c)] | B(d) :: else fi; d++ :: else -> break od; d = 0 }
#endif
  :: d_step { (st[c] == ASK) -> more[c] = 1; ended(c); chk() }                  /* gives up */
  :: d_step { (st[c] == HELD) -> let(c) }                                       /* release, or its bound has passed */
  :: d_step { (st[c] == LET && !rowlocked(c) && (!isX(c) || rl == 0)) -> released(c, 0); ended(c); chk() }
#ifdef LOSS
  :: d_step { (st[c] == LET && !rowlocked(c) && (!isX(c) || rl == 0)) -> released(c, 0); chk() }  /* answer lost */
#endif
#if HOLDS > 0
  :: d_step { (st[c] == LET && holds < HOLDS && !rowlocked(c) && (!isX(c) || rl == 0)) -> holds++; released(c, 1); ended(c); chk() }
#endif
  :: d_step { (st[c] == LET) -> st[c] = GONE; n[c] = 0; nf[c] = 0; nt[c] = 0 }  /* nothing is sent any more */
#ifdef R_DOUBTSNAP
  :: d_step { (st[c] == ABN && !nav[c] && !sp[c]) -> st[c] = 7 }
  :: d_step { (st[c] == 7 && rl == 0) -> st[c] = OVER; more[c] = 0; chk() }
  :: d_step { (st[c] == ABN && !nav[c] && sp[c] && !rowlocked(c)) -> abandoned(c); st[c] = OVER; more[c] = 0; chk() }
#else
  :: d_step { (st[c] == ABN && !nav[c] && mayabandon(c)) -> abandoned(c); st[c] = OVER; more[c] = 0; chk() }
#endif
  :: d_step { (nav[c]) -> nav[c] = 0 }                                          /* not_after passes */
  :: d_step { (st[c] == OVER && quiet(c) && !g[c] && !sp[c] && maxf < MAXF) -> st[c] = IDLE; fn[c] = 0; nav[c] = 0;
#ifdef REVIVED
       was[c] = 0
#endif
     }  /* a new token */
#ifndef NOREN
  :: d_step { (st[c] == HELD && n[c] == 0) -> n[c] = 1; nf[c] = fn[c]; nt[c] = 1 }
  :: d_step { (n[c] == 1 && !rowlocked(c) && (!isX(c) || rl == 0)) ->
       if
       :: !alive(c, nt[c]) -> n[c] = 0; nf[c] = 0; nt[c] = 0                     /* unproven */
       :: alive(c, nt[c]) ->
          if
          :: isX(c) -> n[c] = ((rt == c + 1 && rf == nf[c] && !re) -> 2 : 3)
          :: !isX(c) && sp[c] && !sr[c] && (sf[c] == nf[c]
#ifdef R_RENTOK
             || 1
#endif
             ) && (!se[c]
#ifdef R_STRICT
             || 1
#endif
             ) ->
             assert(!se[c]);                                    /* P5: an expired share is renewed */
             assert(sf[c] == nf[c]);                            /* P4: a stale fence renews a newer grant */
             n[c] = 2
          :: else -> n[c] = 3
          fi
       fi }
  :: d_step { (n[c] > 1) ->
       if
       :: n[c] == 2 && st[c] == HELD && fn[c] == nf[c] && nt[c] -> prov[c] = 1
       :: n[c] == 3 && st[c] == HELD && fn[c] == nf[c] -> let(c)
       :: else
       fi; n[c] = 0; nf[c] = 0; nt[c] = 0; chk() }
#endif
#ifndef NOGUARD
  /* locks its own row, or the root, FOR KEY SHARE, then checks it */
  :: d_step { (st[c] == HELD && !g[c] && mine(c) && !rowlocked(c) && (!isX(c) || rl == 0)) -> g[c] = 1; chk() }
  :: d_step { (g[c]) -> g[c] = 0 }                                              /* commit or rollback; P3: see chk */
#endif
  /* time */
  :: d_step { (!isX(c) && sp[c] && !se[c] && !sr[c] && !(st[c] == HELD && fn[c] == sf[c])) -> se[c] = 1;
       if :: q[S0(c)] == DONE && qr[S0(c)] == OK && qf[S0(c)] == sf[c] -> qr[S0(c)] = PAST :: else fi;
       if :: q[S1(c)] == DONE && qr[S1(c)] == OK && qf[S1(c)] == sf[c] -> qr[S1(c)] = PAST :: else fi }
  :: d_step { (isX(c) && rt == c + 1 && !re && !(st[c] == HELD && fn[c] == rf)) -> re = 1;
       if :: q[S0(c)] == DONE && qr[S0(c)] == OK && qf[S0(c)] == rf -> qr[S0(c)] = PAST :: else fi;
       if :: q[S1(c)] == DONE && qr[S1(c)] == OK && qf[S1(c)] == rf -> qr[S1(c)] = PAST :: else fi }
#if HOLDS > 0
  :: d_step { (sh[c]) -> sh[c] = 0 }
  :: d_step { (c == 0 && rh) -> rh = 0 }
#endif
#ifdef PRES
  :: d_step { (!down[c] && cuts < CUTS && (PRES & B(c))) -> cuts++; down[c] = 1 }
  :: d_step { (down[c] && !hbp[c]) -> hbp[c] = 1 }
  :: d_step { (down[c] && hbp[c] && !dead[c]) -> dead[c] = 1 }
  :: d_step { (down[c] && st[c] != GONE && !(xshl & B(c))) -> down[c] = 0; dead[c] = 0; hbp[c] = 1;
#ifndef R_DEADRENEW
       prov[c] = 0; nt[c] = 0;
#endif
       qt[S0(c)] = 0; qt[S1(c)] = 0 }
  :: d_step { (!down[c] && hbp[c] && st[c] != GONE) -> hbp[c] = 0; chk() }
#endif
#ifdef H_RELCLEAR
  :: d_step { (clearing && rl == 0) -> clearing = 0; rq = 0 }
#endif
  od
}

#ifdef SWEEP
/* what no one has used since the retention: here, at any time */
proctype Sweeper() {
  do
#ifdef R_SWEEPLOCK
  :: d_step { (clearing == 0 && rp && (rt == 0 || re) && !rh && !sp[0] && !sp[1] && !sp[NC-1]) -> clearing = 1 }
  :: d_step { (clearing == 1 && rl == 0) -> clearing = 0;
       if :: (rp && (rt == 0 || re) && !rh && !rootguard) -> if :: rf > wal -> wal = rf :: else fi; rp = 0; rt = 0; rf = 0; re = 0; rq = 0; rs = 0; chk() :: else fi }
#else
  :: d_step { (rl == 0 && rp && (rt == 0 || re) && !rh && !rootguard) -> rl = SWP }
  :: d_step { (rl == SWP) -> rl = 0;
       if
       :: ((rt == 0 || re) && !rh
#ifndef R_SWEEP
          && !sp[0] && !sp[1] && !sp[NC-1]
#endif
          ) -> if :: rf > wal -> wal = rf :: else fi; rp = 0; rt = 0; rf = 0; re = 0; rq = 0; rs = 0; chk()
       :: else
       fi }
#endif
  od
}
#endif

init {
  byte i;
  atomic {
    do :: i < NC -> run Client(i); i++ :: else -> break od; i = 0;
#ifdef SWEEP
    run Sweeper()
#endif
  }
}

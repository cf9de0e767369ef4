/* Processes: a select each, with a guard on each of its links, and the tickets of their offers.
 *
 *     select   idle -> open <-> held -> idle, and gone after the last round
 *     ticket   free -> stands -> (claimed: its claim waits) -> holds -> free, or leaving: withdrawn
 *
 * The offer of a select with one guard is exclusive: its home holds it from the beginning. */

#define IDLE 0
#define OPEN 1
#define HELD 2
#define GONE 3
byte state[PROCESSES];
byte round[PROCESSES];
byte holder[PROCESSES]; /* the ticket that holds it, while it is held */
bool stopping[PROCESSES];
chan claims[PROCESSES] = [LINKS] of { byte }; /* tickets whose claims wait */

#define FREE 0
#define STANDS 1
#define CLAIMED 2
#define HOLDS 3
#define LEAVING 4
#define POSTED 5
byte place[TICKETS];
bit generation[TICKETS];
byte carried[TICKETS]; /* the message of one that is posted */

bool listed[LINKS];  /* to look at when the round begins: has no offer that stands */
bool sure[LINKS];   /* its home has answered: there is nothing, or by a claim */
bool missed[LINKS]; /* its last claim was denied: its home is asked first in the next round */
byte over[LINKS];    /* what the channel came to */
bool told[LINKS];    /* and the user knows that */

#define MESSAGE_OF(p) ((p) * MOST_ROUNDS + round[p])
#define SELECT_OF(p) ((p) * MOST_ROUNDS + IN(CLOSES, p) * round[p])
#define TELLS(p) IN(POLLS | PRIORITY, p)
#define WITH_TELL 64 /* in the value of an offer */

/* Whether a claim for the guard of a link may be granted: by priority, those before it must have
 * been answered. */
#define LINK_BEFORE_IS_SURE(p, l, m)                                                                \
    ((m) >= (l) || OWNER((m) % LINKS) != (p) || over[(m) % LINKS] || sure[(m) % LINKS])
#ifdef MUTANT_priority_ignored
#define MAY_GRANT(p, l) true
#else
#define MAY_GRANT(p, l)                                                                            \
    (!IN(PRIORITY, p) ||                                                                           \
     (LINK_BEFORE_IS_SURE(p, l, 0) && LINK_BEFORE_IS_SURE(p, l, 1) &&                              \
      LINK_BEFORE_IS_SURE(p, l, 2) && LINK_BEFORE_IS_SURE(p, l, 3)))
#endif

/* What is said over a link that is cut is lost. */
inline say(queue, l_, kind_, number_, value_)
{
    if
    :: cut[l_]
    :: else ->
       assert(nfull(queue));
       queue!kind_(number_, value_)
    fi
}

inline act(kind_, t_, value_)
{
    note_act(kind_, t_, value_);
    say(up[LINK(t_)], LINK(t_), kind_, NUMBER(t_, generation[t_], epoch[LINK(t_)]), value_)
}

inline drain(queue)
{
    do
    :: nempty(queue) -> queue?_, _, _
    :: empty(queue) -> break
    od
}

/* x = a free ticket of the link, or NONE. */
inline find_free(l_)
{
    x = NONE;
    for (k : 0 .. SLOTS - 1) {
        if
        :: x == NONE && place[(l_) * SLOTS + k] == FREE -> x = (l_) * SLOTS + k
        :: else
        fi
    }
}

/* ---- what a round comes to ---- */

#ifdef MUTANT_turn_forgotten
inline miss(p_, l_) { skip }
#else
inline miss(p_, l_) { missed[l_] = !IN(PRIORITY, p_) }
#endif

/* Everything that waits for the select is denied: its offer is gone, and made anew when the
 * next round begins. */
inline deny_claims(p_)
{
    do
    :: claims[p_]?x ->
       place[x] = FREE;
       act(DENY, x, 0);
#ifndef MUTANT_denied_forgotten
       listed[LINK(x)] = true;
#endif
       miss(p_, LINK(x))
    :: empty(claims[p_]) -> break
    od
}

inline end_round(p_, outcome_)
{
    y = NONE;
    if
    :: state[p_] == HELD ->
       x = holder[p_];
       y = LINK(x);
       place[x] = FREE;
       listed[y] = true;
       missed[y] = false
    :: else
    fi;
    note_done(p_, outcome_, y);
    check_result(p_, outcome_);
    state[p_] = IDLE;
    holder[p_] = 0;
    stopping[p_] = false;
    deny_claims(p_);
#ifndef FOREVER
    round[p_]++
#endif
}

/* ---- what an open select does next ---- */

inline make_offer(p_, l_)
{
    find_free(l_);
    if
    :: x == NONE -> missed[l_] = false
    :: else ->
       listed[l_] = false;
       sure[l_] = false;
       generation[x] = 1 - generation[x];
       if
       :: SINGLE(p_) ->
          place[x] = HOLDS;
          state[p_] = HELD;
          holder[p_] = x
       :: else -> place[x] = STANDS
       fi;
       note_offer(x);
       if
       :: SINGLE(p_) && SENDS(l_) -> y = MESSAGE_OF(p_)
       :: else -> y = SELECT_OF(p_)
       fi;
       if
       :: TELLS(p_) || missed[l_] -> y = y + WITH_TELL
       :: else
       fi;
       act(OFFER, x, y)
    fi
}

/* best_x = the first claim that waits, by priority of the first guard, if it may be granted. */
inline find_claim(p_)
{
    best_x = NONE;
    for (i : 1 .. LINKS) {
        if
        :: i <= len(claims[p_]) ->
           claims[p_]?x;
           claims[p_]!x;
           if
           :: MAY_GRANT(p_, LINK(x)) && (best_x == NONE || (IN(PRIORITY, p_) && x < best_x)) ->
              best_x = x
           :: else
           fi
        :: else
        fi
    };
    if
    :: best_x != NONE -> claims[p_]??eval(best_x)
    :: else
    fi
}

/* A guard that missed its turn asks before others have offers, so that those who are nearer are not
 * always first. */
inline make_offers(p_, missed_)
{
    for (j : 0 .. LINKS - 1) {
        found = OWNER(j) == p_ && !over[j] && listed[j] && missed[j] == missed_;
        for (i : 0 .. LINKS - 1) {
            found = found && (OWNER(i) != p_ || listed[i] || !missed[i])
        };
        if
        :: found -> make_offer(p_, j)
        :: else
        fi
    }
}

inline settle_open(p_)
{
    found = false; /* a guard that is not over */
    again = false; /* one that may yet have something */
    for (j : 0 .. LINKS - 1) {
        if
        :: OWNER(j) == p_ && over[j] && !told[j] && outcome == 0 ->
           told[j] = true;
           outcome = over[j]
        :: OWNER(j) == p_ && !over[j] ->
           found = true
        :: else
        fi
    };
    if
    :: outcome == 0 && (stopping[p_] || !found) -> outcome = NOTHING
    :: else
    fi;
    if
    :: outcome == 0 ->
       make_offers(p_, 1);
       make_offers(p_, 0);
       for (j : 0 .. LINKS - 1) {
           again = again || (OWNER(j) == p_ && !over[j] && !sure[j])
       };
       find_claim(p_);
       if
       :: best_x != NONE ->
          place[best_x] = HOLDS;
          state[p_] = HELD;
          holder[p_] = best_x;
          act(GRANT, best_x, MESSAGE_OF(p_))
       :: else ->
          if
          :: IN(POLLS, p_) && state[p_] == OPEN && !again -> outcome = NOTHING
          :: else
          fi
       fi
    :: else
    fi
}

/* A process that is gone ends its requests, once no answer of its own is needed any more: for a claim
 * or a message.  Offers that are exclusive, to send, may still be open. */
inline finish(p_)
{
    for (j : 0 .. LINKS - 1) {
        found = OWNER(j) == p_ && !over[j] && !finished[j];
        for (k : 0 .. SLOTS - 1) {
            found = found && (place[j * SLOTS + k] == FREE || place[j * SLOTS + k] == POSTED)
        };
        if
        :: found ->
           finished[j] = true;
           act(FINISH, j * SLOTS, 0)
        :: else
        fi
    }
}

inline settle_end(p_)
{
    if
    :: outcome == 0 && state[p_] == OPEN -> settle_open(p_)
    :: else
    fi;
    if
    :: outcome != 0 -> end_round(p_, outcome)
    :: else
    fi;
    if
    :: state[p_] == GONE -> finish(p_)
    :: else
    fi
}

/* ---- what the user does ---- */

inline close_select(p_)
{
    for (i : 0 .. TICKETS - 1) {
        if
        :: OWNER_AT(i) == p_ && place[i] == STANDS ->
           place[i] = LEAVING;
           listed[LINK(i)] = true;
           missed[LINK(i)] = false;
           act(WITHDRAW, i, 0)
        :: else
        fi
    }
}

/* Sends ahead: an offer that nobody waits for. */
inline post(p_)
{
    for (j : 0 .. LINKS - 1) {
        if
        :: OWNER(j) == p_ && over[j] -> outcome = over[j]
        :: OWNER(j) == p_ && !over[j] ->
           find_free(j);
           place[x] = POSTED;
           generation[x] = 1 - generation[x];
           carried[x] = MESSAGE_OF(p_);
           note_offer(x);
           act(OFFER, x, MESSAGE_OF(p_));
           round[p_]++
        :: else
        fi
    }
}

/* One that sends ahead has no select, and begins when it has room. */
#define ROOM_AT(p, l)                                                                              \
    (OWNER((l) % LINKS) != (p) || over[(l) % LINKS] || place[(l) % LINKS * SLOTS] == FREE ||        \
     place[(l) % LINKS * SLOTS + SLOTS - 1] == FREE)
#define may_begin(p)                                                                               \
    ((!IN(POSTS, p) ||                                                                             \
      (ROOM_AT(p, 0) && ROOM_AT(p, 1) && ROOM_AT(p, 2) && ROOM_AT(p, 3))) &&                        \
     (!FIRST_READY || p != PROCESSES - 1 || offer[0] == WAITS))

inline begin(p_)
{
    if
    :: IN(POSTS, p_) -> post(p_)
    :: else ->
       if
       :: IN(CLOSES, p_) -> close_select(p_)
       :: else
       fi;
       state[p_] = OPEN
    fi
}

/* Its time is up, or another guard happened. */
inline stop(p_)
{
    stopping[p_] = true;
    if
    :: SINGLE(p_) && state[p_] == HELD ->
       place[holder[p_]] = LEAVING;
       act(WITHDRAW, holder[p_], 0)
    :: else
    fi;
#ifdef MUTANT_stops_while_held
    outcome = NOTHING
#endif
}

/* ---- what the process is told ---- */

#define IS_HELD_BY(t) (state[OWNER_AT(t)] == HELD && holder[OWNER_AT(t)] == (t))

/* The offer of a ticket has come to something. */
inline happen(t_, outcome_)
{
    if
    :: place[t_] == POSTED ->
       place[t_] = FREE;
       note_posted(t_, outcome_);
       check_post(carried[t_], outcome_);
       carried[t_] = 0
    :: else ->
       assert(IS_HELD_BY(t_));
       outcome = outcome_
    fi
}

/* Nothing comes of the offers of a link any more. */
inline drop_tickets(l_)
{
    for (k : 0 .. SLOTS - 1) {
        x = (l_) * SLOTS + k;
        if
        :: place[x] == CLAIMED -> claims[OWNER(l_)]??eval(x)
        :: else
        fi;
        if
        :: place[x] != FREE -> place[x] = FREE
        :: else
        fi;
        carried[x] = 0
    };
    listed[l_] = true;
    missed[l_] = false;
    sure[l_] = false
}

inline lose(l_)
{
    over[l_] = LOST;
    if
    :: state[OWNER(l_)] == HELD && LINK(holder[OWNER(l_)]) == l_ ->
       if
#ifdef MUTANT_doubt_reopens
       :: SENDS(l_) && SINGLE(OWNER(l_)) -> outcome = DOUBT
#else
       :: SENDS(l_) -> outcome = DOUBT
#endif
       :: else ->
          state[OWNER(l_)] = OPEN;
          holder[OWNER(l_)] = 0
       fi
    :: else
    fi;
    drop_tickets(l_);
#if RESTARTS
    /* Attached anew, to what is there instead. */
    cut[l_] = false;
    home_knows[l_] = false;
    end_knows[l_] = false;
    epoch[l_] = 1 - epoch[l_];
    over[l_] = 0;
    told[l_] = false;
    if
    :: outcome == 0 && state[OWNER(l_)] == OPEN -> outcome = LOST
    :: else
    fi
#endif
}

inline hear_word(l_)
{
    assert(kind == ENDED || GENERATION(number) == generation[ticket]);
    if
    :: kind == TAKEN -> happen(ticket, SENT)
    :: kind == UNKNOWN -> happen(ticket, DOUBT)
    :: kind == MESSAGE ->
       happen(ticket, RECEIVED);
       check_received(value);
       if
       :: CAPACITY_AT(ticket) == 0 -> act(ACK, ticket, 0)
       :: else
       fi
    :: kind == WAITING ->
       if
       :: place[ticket] == LEAVING
       :: else ->
          sure[l_] = true;
          missed[l_] = false;
          if
          :: SINGLE(OWNER(l_)) && IN(POLLS, OWNER(l_)) -> stop(OWNER(l_))
          :: else
          fi
       fi
    :: kind == CLAIM ->
       assert(!SINGLE(OWNER(l_)) && (place[ticket] == STANDS || place[ticket] == LEAVING));
       if
#ifdef MUTANT_grants_while_held
       :: place[ticket] == STANDS && state[OWNER(l_)] == HELD ->
          place[ticket] = HOLDS;
          holder[OWNER(l_)] = ticket;
          act(GRANT, ticket, MESSAGE_OF(OWNER(l_)))
#endif
#ifdef MUTANT_claims_dropped
       :: place[ticket] == STANDS && state[OWNER(l_)] == HELD
#endif
       :: place[ticket] == STANDS && (state[OWNER(l_)] == OPEN || state[OWNER(l_)] == HELD) ->
          place[ticket] = CLAIMED;
          sure[l_] = true;
          missed[l_] = false;
          claims[OWNER(l_)]!ticket
       :: else ->
          if
#ifndef MUTANT_denied_forgotten
          :: place[ticket] == STANDS ->
             listed[l_] = true;
             miss(OWNER(l_), l_)
#endif
          :: else
          fi;
          place[ticket] = FREE;
          act(DENY, ticket, 0)
       fi
    :: kind == RELEASE ->
       assert(IS_HELD_BY(ticket));
       place[ticket] = STANDS;
       state[OWNER(l_)] = OPEN;
       holder[OWNER(l_)] = 0
    :: kind == WITHDRAWN ->
       assert(place[ticket] == LEAVING);
       if
       :: IS_HELD_BY(ticket) -> outcome = NOTHING
       :: else -> place[ticket] = FREE
       fi
    :: kind == ENDED ->
       check_ended(l_, value);
       over[l_] = value;
       if
       :: state[OWNER(l_)] == HELD && LINK(holder[OWNER(l_)]) == l_ ->
          state[OWNER(l_)] = OPEN;
          holder[OWNER(l_)] = 0
       :: else
       fi;
       for (k : 0 .. SLOTS - 1) {
           if
           :: place[l_ * SLOTS + k] == POSTED -> check_post(carried[l_ * SLOTS + k], value)
           :: else
           fi
       };
       drop_tickets(l_)
    fi
}

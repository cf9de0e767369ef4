/* Homes: the offers that are open, oldest first, and how they are paired.
 *
 *     offer   waits -> paired -> asked -> granted -> delivered, when it receives
 *                                                    committed, when it sends: waits for the ack
 *
 * Paired: with one whose claim is under way, before it is its own turn; an exclusive offer needs no
 * claim and stays there.  What is asked and has no pair any more is released when it is granted. */

#define ABSENT 0
#define WAITS 1
#define PAIRED 2
#define ASKED 3
#define GRANTED 4
#define DELIVERED 5
#define COMMITTED 6
byte offer[TICKETS];
byte age[TICKETS]; /* 1: the oldest of its home */
byte pair[TICKETS];
byte payload[TICKETS];
byte whose[TICKETS]; /* its select; orders claims */
bool tells[TICKETS]; /* to be told if there is nothing to be had */
bit home_generation[TICKETS];

bool seated[LINKS]; /* the process is attached */
bool said[LINKS];   /* Ended was */
bool gone[LINKS];   /* finished or lost */
bool has_lost[HOMES * 2];
bool poisoned[HOMES];

#if CAPACITY
chan buffer[HOMES] = [2] of { byte };
byte reserved[HOMES]; /* places in the buffer for those whose claims are under way */
byte promised[HOMES]; /* messages in it, likewise */
#endif

inline word(kind_, t_, value_)
{
    note_word(kind_, t_, value_);
    say(down[LINK(t_)], LINK(t_), kind_, NUMBER(t_, home_generation[t_], 0), value_)
}

inline remember(t_)
{
    age[t_] = 1;
    for (k : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(k) == HOME_AT(t_) && offer[k] != ABSENT -> age[t_]++
        :: else
        fi
    };
    offer[t_] = WAITS;
    pair[t_] = NONE
}

inline forget(t_)
{
    for (k : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(k) == HOME_AT(t_) && offer[k] != ABSENT && age[k] > age[t_] -> age[k]--
        :: else
        fi
    };
    offer[t_] = ABSENT;
    age[t_] = 0;
    pair[t_] = NONE;
    payload[t_] = 0;
    whose[t_] = 0;
    tells[t_] = false
}

inline release(t_)
{
#ifndef MUTANT_not_released
    word(RELEASE, t_, 0);
#endif
    payload[t_] = 0;
    offer[t_] = WAITS
}

inline ask(t_)
{
    offer[t_] = ASKED;
    tells[t_] = false; /* a claim is an answer too */
    note_claim(t_);
    word(CLAIM, t_, 0)
}

/* Its pair goes on without it. */
inline part(t_)
{
    y = pair[t_];
    pair[t_] = NONE;
    if
    :: y == NONE
#if CAPACITY
    :: y == BUFFER ->
       if
       :: SENDS_AT(t_) -> reserved[HOME_AT(t_)]--
       :: else -> promised[HOME_AT(t_)]--
       fi
#endif
    :: else ->
       pair[y] = NONE;
       if
       :: offer[y] == PAIRED -> offer[y] = WAITS
       :: offer[y] == GRANTED -> release(y)
       :: offer[y] == COMMITTED ->
#ifdef MUTANT_lost_message_given_on
          offer[y] = WAITS
#else
          word(UNKNOWN, y, 0);
          forget(y)
#endif
       :: else /* asked: released later; delivered: nobody waits for the ack */
       fi
    fi
}

/* ---- pairs ---- */

inline commit(x_, y_)
{
    word(MESSAGE, y_, payload[x_]);
    offer[y_] = DELIVERED;
    offer[x_] = COMMITTED;
#ifdef MUTANT_told_before_ack
    word(TAKEN, x_, 0);
    pair[y_] = NONE;
    forget(x_)
#endif
}

#ifdef MUTANT_claims_unordered
#define GOES_FIRST(x, y) SENDS_AT(x)
#else
#define GOES_FIRST(x, y) (whose[x] < whose[y])
#endif

/* Sender and receiver are a pair: claim who must be claimed, one after the other. */
inline advance(x_, y_)
{
    if
    :: (SINGLE_AT(x_) || offer[x_] == GRANTED) && (SINGLE_AT(y_) || offer[y_] == GRANTED) ->
       commit(x_, y_)
    :: (SINGLE_AT(x_) || offer[x_] == GRANTED) && !(SINGLE_AT(y_) || offer[y_] == GRANTED) -> ask(y_)
    :: !(SINGLE_AT(x_) || offer[x_] == GRANTED) && (SINGLE_AT(y_) || offer[y_] == GRANTED) -> ask(x_)
    :: else ->
       if
       :: GOES_FIRST(x_, y_) -> ask(x_)
       :: else -> ask(y_)
       fi
    fi
}

#ifdef MUTANT_paired_with_itself
#define OF_ONE_SELECT(x, y) false
#else
#define OF_ONE_SELECT(x, y) (!SINGLE_AT(x) && !SINGLE_AT(y) && whose[x] == whose[y])
#endif

#ifdef MUTANT_granted_twice
#define IS_TO_BE_HAD(t) (offer[t] == WAITS || (offer[t] == PAIRED && SINGLE_AT(t)))
#else
#define IS_TO_BE_HAD(t) (offer[t] == WAITS)
#endif

#ifdef MUTANT_newest_first
#define IS_BEFORE(x, y) (age[x] > age[y])
#else
#define IS_BEFORE(x, y) (age[x] < age[y])
#endif

/* The oldest who sends, with the oldest who receives. */
inline find_pair(h_)
{
    best_x = NONE;
    best_y = NONE;
    for (x : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(x) == h_ && SENDS_AT(x) && IS_TO_BE_HAD(x) &&
           (best_x == NONE || IS_BEFORE(x, best_x)) ->
           for (y : 0 .. TICKETS - 1) {
               if
               :: HOME_AT(y) == h_ && !SENDS_AT(y) && offer[y] == WAITS && !OF_ONE_SELECT(x, y) &&
                  (best_x != x || IS_BEFORE(y, best_y)) ->
                  best_x = x;
                  best_y = y
               :: else
               fi
           }
        :: else
        fi
    }
}

inline match_rendezvous(h_)
{
    do
    :: find_pair(h_);
       if
       :: best_x == NONE -> break
       :: else ->
          pair[best_x] = best_y;
          pair[best_y] = best_x;
          offer[best_x] = PAIRED;
          offer[best_y] = PAIRED;
#ifdef MUTANT_waiting_forgotten
          tells[best_x] = false;
          tells[best_y] = false;
#endif
          advance(best_x, best_y)
       fi
    od
}

#if CAPACITY
/* The oldest of a side that waits. */
inline find_oldest(h_, sends_)
{
    best_x = NONE;
    for (x : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(x) == h_ && SENDS_AT(x) == sends_ && offer[x] == WAITS &&
           (best_x == NONE || IS_BEFORE(x, best_x)) -> best_x = x
        :: else
        fi
    }
}

inline put(t_)
{
    assert(len(buffer[HOME_AT(t_)]) < CAPACITY_AT(t_));
    buffer[HOME_AT(t_)]!payload[t_];
    word(TAKEN, t_, 0);
    forget(t_)
}

inline take(t_)
{
    assert(nempty(buffer[HOME_AT(t_)]));
    buffer[HOME_AT(t_)]?x;
    word(MESSAGE, t_, x);
    forget(t_)
}

#ifdef MUTANT_reservation_forgotten
#define HAS_ROOM(h) (len(buffer[h]) < ENTRY(CAPACITY, h))
#else
#define HAS_ROOM(h) (len(buffer[h]) + reserved[h] < ENTRY(CAPACITY, h))
#endif

inline match_buffer(h_)
{
    do
    :: found = false;
       find_oldest(h_, 0);
       if
       :: best_x != NONE && len(buffer[h_]) > promised[h_] ->
          found = true;
          if
          :: SINGLE_AT(best_x) -> take(best_x)
          :: else ->
             pair[best_x] = BUFFER;
             promised[h_]++;
             ask(best_x)
          fi
       :: else ->
          find_oldest(h_, 1);
          if
          :: best_x != NONE && HAS_ROOM(h_) ->
             found = true;
             if
             :: SINGLE_AT(best_x) -> put(best_x)
             :: else ->
                pair[best_x] = BUFFER;
                reserved[h_]++;
                ask(best_x)
             fi
          :: else
          fi
       fi;
       if
       :: !found -> break
       :: else
       fi
    od
}
#endif

/* ---- the end of a channel ---- */

#ifdef MUTANT_flight_not_counted
#define IS_GONE(l) (gone[l] || !seated[l])
#else
#define IS_GONE(l) gone[l]
#endif

#ifdef MUTANT_finish_over_offers
#define STANDS_FOR_ITS_SIDE(t) false
#else
#define STANDS_FOR_ITS_SIDE(t) (offer[t] != ABSENT)
#endif

/* found = nothing will come for those of that link any more. */
inline find_over(l_)
{
    found = true;
    for (j : 0 .. LINKS - 1) {
        found = found && (HOME(j) != HOME(l_) || SENDS(j) == SENDS(l_) || IS_GONE(j))
    };
    for (j : 0 .. TICKETS - 1) {
        found = found && (HOME_AT(j) != HOME(l_) || SENDS_AT(j) == SENDS(l_) ||
                          !STANDS_FOR_ITS_SIDE(j))
    };
#if CAPACITY
    found = found && (SENDS(l_) || empty(buffer[HOME(l_)]));
#endif
    found = found || poisoned[HOME(l_)]
}

#if defined(MUTANT_poison_overwrites)
#define IS_ABOUT_TO_HAPPEN(t) (offer[t] == DELIVERED)
#elif defined(MUTANT_ended_before_ack)
#define IS_ABOUT_TO_HAPPEN(t) (offer[t] == COMMITTED)
#else
#define IS_ABOUT_TO_HAPPEN(t) (offer[t] == DELIVERED || offer[t] == COMMITTED)
#endif

/* Says so, once what is being committed on that link has happened. */
inline end_link(l_)
{
    find_over(l_);
    found = found && seated[l_] && !said[l_] && !gone[l_];
    for (j : 0 .. SLOTS - 1) {
        found = found && !IS_ABOUT_TO_HAPPEN(l_ * SLOTS + j)
    };
    if
    :: found ->
       for (j : l_ * SLOTS .. l_ * SLOTS + SLOTS - 1) {
           if
           :: offer[j] != ABSENT ->
              part(j);
              forget(j)
           :: else
           fi
       };
       said[l_] = true;
       if
       :: poisoned[HOME(l_)] -> y = POISONED
       :: !poisoned[HOME(l_)] && has_lost[HOME(l_) * 2 + 1 - SENDS(l_)] -> y = LOST
       :: else -> y = AT_END
       fi;
       j = l_ * SLOTS;
       word(ENDED, j, y)
    :: else
    fi
}

/* Poison: nothing happens any more but what is being committed. */
inline purge(h_)
{
    for (i : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(i) == h_ && offer[i] != ABSENT && offer[i] != DELIVERED && offer[i] != COMMITTED ->
           forget(i)
        :: else
        fi
    };
#if CAPACITY
    drain_buffer(h_)
#endif
}

#if CAPACITY
inline drain_buffer(h_)
{
    do
    :: buffer[h_]?_
    :: empty(buffer[h_]) -> break
    od;
    reserved[h_] = 0;
    promised[h_] = 0
}
#endif

/* Whether an offer that asked to be told has time until its pair comes to something: by priority, other
 * claims of the select wait for the answer. */
#ifdef MUTANT_priority_patient
#define IS_PATIENT(p) true
#else
#define IS_PATIENT(p) (SINGLE(p) || !IN(PRIORITY, p))
#endif

inline settle_home(h_)
{
    if
    :: poisoned[h_] -> purge(h_)
#ifdef MUTANT_loose_forgotten
    :: kind == DENY && !poisoned[h_]
#endif
    :: else ->
#if CAPACITY
       if
       :: ENTRY(CAPACITY, h_) -> match_buffer(h_)
       :: else -> match_rendezvous(h_)
       fi
#else
       match_rendezvous(h_)
#endif
    fi;
    for (i : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(i) == h_ && tells[i] &&
           (offer[i] == WAITS || (offer[i] == PAIRED && !IS_PATIENT(OWNER_AT(i)))) ->
           tells[i] = false;
           word(WAITING, i, 0)
        :: else
        fi
    };
    for (i : 0 .. LINKS - 1) {
        if
        :: HOME(i) == h_ -> end_link(i)
        :: else
        fi
    }
}

/* ---- acts ---- */

/* The process of a link is gone: its call ended, or broke. */
inline leave(l_)
{
    has_lost[HOME(l_) * 2 + SENDS(l_)] = has_lost[HOME(l_) * 2 + SENDS(l_)] || !gone[l_];
    for (i : l_ * SLOTS .. l_ * SLOTS + SLOTS - 1) {
        if
        :: offer[i] != ABSENT ->
           has_lost[HOME(l_) * 2 + SENDS(l_)] = true;
           part(i);
           forget(i)
        :: else
        fi
    };
    gone[l_] = true
}

inline hear_grant(t_)
{
    assert(offer[t_] == ASKED);
    payload[t_] = value;
    if
    :: pair[t_] == NONE -> release(t_)
#if CAPACITY
    :: pair[t_] == BUFFER && SENDS_AT(t_) ->
       reserved[HOME_AT(t_)]--;
       put(t_)
    :: pair[t_] == BUFFER && !SENDS_AT(t_) ->
       promised[HOME_AT(t_)]--;
       take(t_)
#endif
    :: else ->
       offer[t_] = GRANTED;
       x = t_;
       y = pair[t_];
       if
       :: SENDS_AT(t_) -> skip
       :: else ->
          x = y;
          y = t_
       fi;
       advance(x, y)
    fi
}

inline hear_withdraw(t_)
{
    if
    :: offer[t_] == WAITS || offer[t_] == PAIRED ->
       part(t_);
#ifndef MUTANT_withdraw_unanswered
       word(WITHDRAWN, t_, 0);
#endif
       forget(t_)
    :: offer[t_] == ASKED -> part(t_) /* the claim that is on its way will be denied */
    :: else /* the answer is what becomes of it, or has */
    fi
}

inline hear_act(l_)
{
    if
#if RESTARTS && !defined(MUTANT_stale_accepted)
    :: EPOCH(number) != home_epoch[l_] /* of a call to one that is no more */
#endif
    :: said[l_] /* answered by Ended */
    :: else ->
       seated[l_] = true;
       assert(kind == OFFER || kind == FINISH || kind == POISON || offer[ticket] == ABSENT ||
              GENERATION(number) == home_generation[ticket]);
       if
       :: kind == OFFER ->
          assert(offer[ticket] == ABSENT);
          home_generation[ticket] = GENERATION(number);
          remember(ticket);
          tells[ticket] = value / WITH_TELL;
          value = value % WITH_TELL;
          if
          :: SINGLE(OWNER(l_)) && SENDS(l_) -> payload[ticket] = value
          :: else -> whose[ticket] = value
          fi
       :: kind == WITHDRAW -> hear_withdraw(ticket)
       :: kind == GRANT ->
          if
          :: poisoned[HOME(l_)] && offer[ticket] == ABSENT
          :: else -> hear_grant(ticket)
          fi
       :: kind == DENY ->
          if
          :: poisoned[HOME(l_)] && offer[ticket] == ABSENT
          :: else ->
             assert(offer[ticket] == ASKED);
             part(ticket);
#ifndef MUTANT_denied_stays
             forget(ticket)
#else
             offer[ticket] = WAITS
#endif
          fi
       :: kind == ACK ->
          assert(offer[ticket] == DELIVERED);
          x = pair[ticket];
          forget(ticket);
          if
          :: x != NONE ->
             word(TAKEN, x, 0);
             forget(x)
          :: else
          fi
       :: kind == POISON -> poisoned[HOME(l_)] = true
       :: kind == FINISH -> gone[l_] = true
       fi
    fi
}

#if RESTARTS
/* The home is gone with all it had, and another is there: calls to the first break, and what
 * of them is still under way is not for the other. */
inline restart(h_)
{
    for (i : 0 .. LINKS - 1) {
        if
        :: HOME(i) == h_ ->
           cut[i] = true;
           home_knows[i] = true;
           home_epoch[i] = 1 - home_epoch[i];
           seated[i] = false;
           said[i] = false;
           gone[i] = false
        :: else
        fi
    };
    for (i : 0 .. TICKETS - 1) {
        if
        :: HOME_AT(i) == h_ && offer[i] != ABSENT -> forget(i)
        :: else
        fi
    };
    has_lost[h_ * 2] = false;
    has_lost[h_ * 2 + 1] = false;
#if CAPACITY
    drain_buffer(h_);
#endif
    poisoned[h_] = false
}
#endif

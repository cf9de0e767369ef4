/* What must hold.
 *
 * (a) Who was told Taken by a rendezvous: exactly one receiver has the message; by a buffer: its home has it.
 * (b) A message is received at most once.
 * (c) Whatever else a sender is told but Unknown: its message was not received, and is not later.
 * (d) A select does one thing: follows, since all guards of a round send the same message.
 * Nobody is told Unknown or lost without a fault, or that a channel ended that did not.
 * When nothing is under way: nothing is held or waits for an answer, all is offered, and
 * whatever can be paired is. */

#define MESSAGE_BUFFERED(l) (ENTRY(CAPACITY, HOME(l)) != 0)
#define FAULTS (cuts || restarts)

#ifdef FOREVER
inline check_result(p_, outcome_) { skip }
inline check_post(m_, outcome_) { skip }
inline check_received(m_) { skip }
inline check_ended(l_, code_) { skip }
#else

/* x = the ticket by which it happened, if it did. */
inline check_result(p_, outcome_)
{
    assert((outcome_ != DOUBT && outcome_ != LOST) || FAULTS);
    y = MESSAGE_OF(p_);
    result[y] = outcome_;
    assert(outcome_ != SENT || received[y] || CAPACITY_AT(x) != 0);
    assert(outcome_ == SENT || outcome_ == DOUBT || !received[y]);
    assert(!FIRST_READY || p_ != PROCESSES - 1 || HOME_AT(x) == HOME(0))
}

inline check_post(m_, outcome_)
{
    assert(outcome_ != DOUBT || FAULTS);
    result[m_] = outcome_;
    assert(outcome_ != SENT || received[m_]);
    assert(outcome_ == SENT || outcome_ == DOUBT || !received[m_])
}

inline check_received(m_)
{
    assert(!received[m_]);
    assert(result[m_] == 0 || result[m_] == DOUBT ||
           (result[m_] == SENT && CAPACITY_AT(ticket) != 0));
    received[m_] = true
}

/* Whether all ends of the other side are finished, or lost; and drained. */
inline check_ended(l_, code_)
{
    if
    :: code_ == POISONED -> assert(was_poisoned[HOME(l_)])
    :: else ->
       found = false;
       for (j : 0 .. LINKS - 1) {
           if
           :: HOME(j) == HOME(l_) && SENDS(j) != SENDS(l_) ->
              assert(finished[j] || cut[j]);
              found = found || cut[j]
           :: else
           fi
       };
       assert(code_ == AT_END || found);
       if
       :: code_ == AT_END && !SENDS(l_) && !FAULTS ->
          for (j : 0 .. LINKS - 1) {
              if
              :: HOME(j) == HOME(l_) && SENDS(j) && IN(POSTS, OWNER(j)) ->
                 for (k : 0 .. MOST_ROUNDS - 1) {
                     assert(k >= ENTRY(ROUNDS, OWNER(j)) ||
                            received[OWNER(j) * MOST_ROUNDS + k] ||
                            result[OWNER(j) * MOST_ROUNDS + k] != 0)
                 }
              :: else
              fi
           }
       :: else
       fi
    fi
}
#endif

#define IS_QUIET_AT(l)                                                                             \
    ((l) >= LINKS || (empty(up[(l) % LINKS]) && empty(down[(l) % LINKS]) &&                         \
                      (!cut[(l) % LINKS] || (home_knows[(l) % LINKS] && end_knows[(l) % LINKS]))))
#define IS_QUIET                                                                                   \
    (IS_QUIET_AT(0) && IS_QUIET_AT(1) && IS_QUIET_AT(2) && IS_QUIET_AT(3) && IS_QUIET_AT(4) &&      \
     IS_QUIET_AT(5) && IS_QUIET_AT(6))

#define IS_LIVE(l) (!cut[l] && !over[l] && !said[l])

inline check_quiet_ends()
{
    for (i : 0 .. PROCESSES - 1) {
        assert(empty(claims[i]));
        assert(state[i] != HELD || (SINGLE(i) && place[holder[i]] == HOLDS && !stopping[i]));
        assert(!IN(POLLS, i) || state[i] == IDLE || state[i] == GONE)
    };
    for (i : 0 .. LINKS - 1) {
        found = false;
        for (k : 0 .. SLOTS - 1) {
            found = found || place[i * SLOTS + k] == STANDS
        };
        assert(!IS_LIVE(i) || state[OWNER(i)] != OPEN || found);
        assert(state[OWNER(i)] != OPEN || !over[i] || told[i]);
        assert(cut[i] || !over[i] || said[i])
    };
    for (i : 0 .. TICKETS - 1) {
        assert(place[i] != LEAVING && place[i] != CLAIMED);
        assert(!IS_LIVE(LINK(i)) || finished[LINK(i)] || (place[i] != FREE) == (offer[i] != ABSENT))
    }
}

inline check_quiet_homes()
{
    for (i : 0 .. TICKETS - 1) {
        assert(offer[i] == ABSENT || offer[i] == WAITS);
        assert(offer[i] == ABSENT || !cut[LINK(i)]);
#if CAPACITY
        assert(offer[i] == ABSENT || CAPACITY_AT(i) == 0 || SENDS_AT(i) || empty(buffer[HOME_AT(i)]));
        assert(offer[i] == ABSENT || CAPACITY_AT(i) == 0 || !SENDS_AT(i) ||
               len(buffer[HOME_AT(i)]) == CAPACITY_AT(i))
#endif
    };
    for (i : 0 .. TICKETS - 1) {
        for (j : 0 .. TICKETS - 1) {
            assert(CAPACITY_AT(i) != 0 || HOME_AT(i) != HOME_AT(j) || !SENDS_AT(i) || SENDS_AT(j) ||
                   offer[i] == ABSENT || offer[j] == ABSENT || OWNER_AT(i) == OWNER_AT(j))
        }
    };
    for (i : 0 .. LINKS - 1) {
        found = false;
        find_over(i);
        assert(!found || !seated[i] || said[i] || gone[i])
    }
}

#ifdef FOREVER
/* What comes to pass, if nobody who can go on waits for ever (weak fairness).  The process and the
 * links that a claim is about are those of its configuration. */

#ifndef ABOUT
#define ABOUT 0 /* the process */
#endif
#ifndef FROM
#define FROM 0 /* a link, that sends */
#endif
#ifndef TO
#define TO 1 /* a link that receives, of the same home */
#endif

#define IS_WITHDRAWING (place[FROM * SLOTS] == LEAVING)
#define IS_HELD (state[OWNER(FROM)] == HELD && holder[OWNER(FROM)] == FROM * SLOTS)

/* Both are in a round, and have offers. */
#define STANDS_AT(t) (place[t] == STANDS || place[t] == CLAIMED || place[t] == HOLDS)
#define IS_OFFERED(l)                                                                              \
    ((state[OWNER(l)] == OPEN || state[OWNER(l)] == HELD) &&                                        \
     (STANDS_AT((l) * SLOTS) || STANDS_AT((l) * SLOTS + 1)))
#define IS_PAIR_OFFERED (IS_OFFERED(FROM) && IS_OFFERED(TO))

ltl withdraw_is_answered { [] (IS_WITHDRAWING -> <> !IS_WITHDRAWING) }
ltl held_is_let_go { [] (IS_HELD -> <> !IS_HELD) }
ltl pair_is_matched { [] (IS_PAIR_OFFERED -> <> !IS_PAIR_OFFERED) }
ltl oldest_is_served { [] (IS_OFFERED(FROM) -> <> !IS_OFFERED(FROM)) }
ltl round_is_over { [] (state[ABOUT] == OPEN -> <> (state[ABOUT] == IDLE)) }
#endif

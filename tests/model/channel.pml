/* The protocol of idl/afar/channel.proto, and what runtime/channel/board.h says of selects,
 * to be searched by spin.  README.md says how it is read, configured and run.
 *
 *     end.pml     the processes: selects, guards, tickets, what they do with words
 *     home.pml    the homes: offers, pairs, what they do with acts
 *     check.pml   what must hold, and what must come to pass
 *
 * A process here is one thread with one select; a link is one end that it is attached to, and
 * so one guard of that select.  What is handled at once is one step of the search; all that can
 * happen in another order is what is under way, when a user does something, and faults. */

#ifndef ROOM
#define ROOM 4 /* acts or words under way, of a link */
#endif
#ifndef SLOTS
#define SLOTS 2 /* offers open at a time, of a link: Welcome.offers */
#endif

/* The configuration: tables with four bits an entry, and sets with one. */
#define ENTRY(table, i) (((table) >> ((i) * 4)) & 15)
#define IN(set, i) (((set) >> (i)) & 1)

#define OWNER(l) ENTRY(OWNERS, l)
#define HOME(l) ENTRY(HOME_OF, l)
#define SENDS(l) IN(SENDERS, l)
#define SINGLE(p) IN(SINGLES, p)

#ifndef SINGLES
#define SINGLES 0 /* processes whose select has one guard: their offers are exclusive */
#endif
#ifndef ROUNDS
#define ROUNDS 286331153 /* how many, of each process */
#endif
#ifndef STOPS
#define STOPS 0 /* processes whose time may be up */
#endif
#ifndef POLLS
#define POLLS 0 /* processes that have a default case */
#endif
#ifndef PRIORITY
#define PRIORITY 0 /* processes that select by priority: a link before those behind it */
#endif
#ifndef CLOSES
#define CLOSES 0 /* processes that close their select after each round, and open another */
#endif
#ifndef POSTS
#define POSTS 0 /* processes that send ahead */
#endif
#ifndef FINISHES
#define FINISHES 0 /* processes that finish at the end */
#endif
#ifndef POISONS
#define POISONS 0 /* links over which the channel may be poisoned, at any time */
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef CUTTABLE
#define CUTTABLE 255
#endif
#ifndef RESTARTS
#define RESTARTS 0
#endif
#ifndef CAPACITY
#define CAPACITY 0 /* of each home; 0: rendezvous */
#endif
#ifndef FIRST_READY
#define FIRST_READY 0 /* the last process waits until an offer stands at its first link's home */
#endif

#define MOST_ROUNDS 3
#define MESSAGES (PROCESSES * MOST_ROUNDS)
#define TICKETS (LINKS * SLOTS)
#define NONE 255
#define BUFFER 254

mtype = {
    OFFER, WITHDRAW, GRANT, DENY, ACK, POISON, FINISH,
    TAKEN, MESSAGE, WAITING, CLAIM, RELEASE, WITHDRAWN, UNKNOWN, ENDED,
    BEGIN, STOP, CLOSE, CUT, RESTART, HOME_LOST, END_LOST, UP, DOWN /* in traces */
};

/* What a round can come to. */
#define SENT 1
#define RECEIVED 2
#define NOTHING 3
#define DOUBT 4
#define AT_END 5
#define POISONED 6
#define LOST 7

/* A ticket is a place for an offer, known to both sides of its link. */
#define LINK(t) ((t) / SLOTS)
#define HOME_AT(t) HOME(LINK(t))
#define OWNER_AT(t) OWNER(LINK(t))
#define SINGLE_AT(t) SINGLE(OWNER_AT(t))
#define SENDS_AT(t) SENDS(LINK(t))
#define CAPACITY_AT(t) ENTRY(CAPACITY, HOME_AT(t))

/* What is under way: kind, number of the ticket in its link with its generation and the
 * epoch, value. */
#define NUMBER(t, generation, epoch) ((t) % SLOTS + 8 * (generation) + 16 * (epoch))
#define TICKET(l, number) ((l) * SLOTS + (number) % 8)
#define GENERATION(number) (((number) >> 3) & 1)
#define EPOCH(number) ((number) >> 4)
chan up[LINKS] = [ROOM] of { mtype, byte, byte };
chan down[LINKS] = [ROOM] of { mtype, byte, byte };

/* Faults.  What is said over a cut link is lost; each side notices in its own time, and may
 * still be given some of what was said before. */
bool cut[LINKS];
bool home_knows[LINKS];
bool end_knows[LINKS];
bit epoch[LINKS];      /* of the end's call */
bit home_epoch[LINKS]; /* of the home */
byte cuts, restarts;

/* For the checks: what has become of each message, and what users did. */
byte result[MESSAGES];
bool received[MESSAGES];
bool finished[LINKS];
bool was_poisoned[HOMES];

/* Within a step. */
hidden mtype kind;
hidden byte number, value, ticket, outcome, i, j, k, x, y, best_x, best_y;
hidden byte found, again;

#include "trace.pml"
#include "end.pml"
#include "home.pml"
#include "check.pml"

/* ---- what can happen ---- */

/* The next act of a link arrives at its home, or the home notices that the link is cut. */
proctype Up(byte l)
{
end:
    do
    :: atomic {
           if
           :: d_step {
                  nempty(up[l]) && (!home_knows[l] || RESTARTS) ->
                      note_do(UP, l);
                      up[l]?kind, number, value;
                      ticket = TICKET(l, number);
                      hear_act(l); skip
              }
           :: d_step {
                  cut[l] && !home_knows[l] ->
                      note_do(HOME_LOST, l);
                      drain(up[l]);
                      home_knows[l] = true;
                      leave(l); skip
              }
           fi;
           d_step { settle_home(HOME(l)); skip }
       }
    od
}

/* The next word of a link arrives at its process, or that notices that the link is cut. */
proctype Down(byte l)
{
end:
    do
    :: atomic {
           if
           :: d_step {
                  nempty(down[l]) && !end_knows[l] ->
                      note_do(DOWN, l);
                      down[l]?kind, number, value;
                      ticket = TICKET(l, number);
                      outcome = 0;
                      hear_word(l); skip
              }
           :: d_step {
                  cut[l] && !end_knows[l] ->
                      note_do(END_LOST, l);
                      drain(down[l]);
                      end_knows[l] = true;
                      outcome = 0;
                      lose(l); skip
              }
           fi;
           d_step { settle_end(OWNER(l)); skip }
       }
    od
}

/* What the user of a select does. */
proctype User(byte p)
{
end:
    do
    :: atomic {
           if
           :: d_step {
                  state[p] == IDLE && round[p] < ENTRY(ROUNDS, p) && may_begin(p) ->
                      note_do(BEGIN, p);
                      outcome = 0;
                      begin(p); skip
              }
           :: d_step {
                  IN(STOPS, p) && (state[p] == OPEN || state[p] == HELD) && !stopping[p] ->
                      note_do(STOP, p);
                      outcome = 0;
                      stop(p); skip
              }
           :: d_step {
                  IN(FINISHES, p) && state[p] == IDLE && round[p] == ENTRY(ROUNDS, p) ->
                      note_do(CLOSE, p);
                      outcome = 0;
                      state[p] = GONE;
                      close_select(p); skip
              }
           fi;
           d_step { settle_end(p); skip }
       }
    od
}

#if !defined(FOREVER) && !defined(TRACE)
/* Looks on whenever nothing is under way. */
proctype Watch()
{
end:
    do
    :: d_step {
           IS_QUIET ->
               check_quiet_ends();
               check_quiet_homes(); skip
       }
    od
}
#endif

#if POISONS
proctype Poisoner(byte l)
{
end:
    d_step {
        !over[l] && !finished[l] && !cut[l] ->
            note_do(POISON, l);
            was_poisoned[HOME(l)] = true;
            act(POISON, l * SLOTS, 0)
    }
}
#endif

#if CUTS
proctype Fault(byte l)
{
end:
    d_step {
        cuts < CUTS && !cut[l] ->
            note_do(CUT, l);
            cuts++;
            cut[l] = true
    }
}
#endif

#if RESTARTS
proctype Restart(byte h)
{
end:
    d_step {
        restarts < RESTARTS ->
            note_do(RESTART, h);
            restarts++;
            restart(h)
    }
}
#endif

init
{
    d_step {
        for (i : 0 .. LINKS - 1) {
            listed[i] = true
        }
        for (i : 0 .. TICKETS - 1) {
            pair[i] = NONE
        }
    }
    atomic {
        for (i : 0 .. LINKS - 1) {
            run Up(i);
            run Down(i)
        }
        for (i : 0 .. PROCESSES - 1) {
            run User(i)
        }
#if !defined(FOREVER) && !defined(TRACE)
        run Watch();
#endif
#if POISONS
        for (i : 0 .. LINKS - 1) {
            if
            :: IN(POISONS, i) -> run Poisoner(i)
            :: else
            fi
        }
#endif
#if CUTS
        for (i : 0 .. LINKS - 1) {
            if
            :: IN(CUTTABLE, i) -> run Fault(i)
            :: else
            fi
        }
#endif
#if RESTARTS
        for (i : 0 .. HOMES - 1) {
            run Restart(i)
        }
#endif
    }
}

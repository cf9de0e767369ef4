/* Where two threads of a process meet without the lock: runtime/channel/meet.c.  Each step is one access to
 * memory that threads share, in the order in which C has them: all of them are sequentially consistent
 * there, but for what only the one who waits reads or writes.
 *
 * SENDERS and RECEIVERS do ROUNDS each.  Whoever does not meet another goes to the board, which is a lock and a
 * queue here.  A thread looks for ever: if nobody comes who should, that is a dead end. */

mtype = { FREE, RECEIVER, SENDER, FULL, TAKEN, CLOSED };

#define THREADS (SENDERS + RECEIVERS)
#define NONE 255

#ifndef GIVES_UP
#define GIVES_UP 0
#endif
#ifndef POISONS
#define POISONS 0
#endif

/* the place */
mtype state = FREE;
byte parcel = NONE;
bool open = true;

/* the board */
bool locked, poisoned;
bool told_poisoned; /* who poisons has returned */
bool queued[THREADS], done[THREADS], refused[THREADS];
byte given[THREADS];
byte senders_queued, receivers_queued;

/* what came of it */
byte sent[SENDERS], received[SENDERS];

#define LOCK atomic { !locked; locked = true }
#define UNLOCK locked = false

inline close_place()
{
#ifdef MUTANT_looks_before_it_closes
    seen = state;
    open = false;
#else
    open = false;
    seen = state;
#endif
    do
    :: seen == RECEIVER || seen == SENDER ->
        atomic {
            if
            :: state == seen ->
#ifdef MUTANT_close_frees
                state = FREE; parcel = NONE;
#else
                state = CLOSED; parcel = NONE;
#endif
                break
            :: else -> seen = state
            fi
        }
    :: else -> break
    od;
    seen = FREE
}

/* Behind everything that changes the queue. */
inline calm()
{
    if
    :: senders_queued == 0 && receivers_queued == 0 && !poisoned -> open = true
    :: else
    fi
}

/* Under the lock nobody else looks at any of this. */
inline go_to_board(sends)
{
    LOCK;
    d_step {
        other = 0;
        do
        :: other < THREADS && queued[other] && (sends != (other < SENDERS)) -> break
        :: other < THREADS && !(queued[other] && (sends != (other < SENDERS))) -> other++
        :: other == THREADS -> break
        od
    }
    if
    :: poisoned -> refused[me] = true; done[me] = true
    :: !poisoned && other < THREADS ->
        d_step {
            if
            :: sends -> given[other] = me; receivers_queued--
            :: else -> given[me] = other; senders_queued--
            fi;
            queued[other] = false
        }
        calm();
        done[other] = true;
        done[me] = true
    :: !poisoned && other == THREADS ->
        d_step {
            queued[me] = true;
            if
            :: sends -> senders_queued++
            :: else -> receivers_queued++
            fi
        }
        if
        :: open -> close_place()
        :: else
        fi
    fi;
    UNLOCK;
    done[me];
    d_step { done[me] = false; other = 0 }
}

/* Ends with `result`: where the other side was found, or FREE. */
inline meet(offer, counterpart, answer, mine, theirs)
{
    result = FREE;
    got = NONE;
    began_late = told_poisoned;
    seen = state;
#ifndef MUTANT_does_not_ask
    asked = open;
#else
    asked = true;
#endif
    if
    :: asked && seen == FREE ->
        atomic {
            if
            :: state == FREE -> state = offer; parcel = mine; seen = offer
            :: else -> seen = state; offered = false
            fi
        }
    :: else -> offered = false
    fi;
    if
    :: asked && offered ->
#ifndef MUTANT_does_not_look_again
        if
        :: !open -> goto_cancel = true
        :: else
        fi;
#endif
        do
        :: !goto_cancel && (state != offer || parcel != mine) -> break
        :: (goto_cancel || GIVES_UP) ->
            atomic {
                if
                :: state == offer && parcel == mine ->
                    state = FREE; parcel = NONE; offered = false
                :: else
                fi
            }
            break
        od;
        if
        :: offered -> atomic { result = state; got = parcel }
#ifndef MUTANT_answer_frees
            atomic { state = FREE; parcel = NONE }
#endif
        :: else
        fi
    :: asked && !offered ->
        do
        :: seen == counterpart ->
            atomic {
                if
                :: state == counterpart ->
                    result = counterpart;
                    got = parcel;
#ifdef MUTANT_answer_frees
                    state = FREE;
                    parcel = (theirs -> mine : NONE);
#else
                    state = answer;
                    parcel = (theirs -> mine : NONE);
#endif
                    break
                :: else -> seen = state
                fi
            }
        :: else -> break
        od
    :: else
    fi;
    skip;
    d_step { offered = true; goto_cancel = false; seen = FREE }
}

proctype sender(byte me)
{
    mtype seen, result;
    byte got, other, round;
    bool asked, offered = true, goto_cancel, began_late;

    do
    :: round < ROUNDS ->
        meet(SENDER, RECEIVER, FULL, me, true);
        if
        :: result == RECEIVER || result == TAKEN -> assert(!began_late); sent[me]++
        :: else ->
            go_to_board(true);
            if
            :: refused[me] -> refused[me] = false
            :: else -> sent[me]++
            fi
        fi;
        round++
    :: else -> break
    od
}

proctype receiver(byte me)
{
    mtype seen, result;
    byte got, other, round;
    bool asked, offered = true, goto_cancel, began_late;

    do
    :: round < ROUNDS ->
        meet(RECEIVER, SENDER, TAKEN, NONE, false);
        if
        :: result == SENDER || result == FULL ->
            assert(!began_late);
            assert(got < SENDERS);
            received[got]++
        :: else ->
            go_to_board(false);
            if
            :: refused[me] -> refused[me] = false
            :: else -> received[given[me]]++
            fi
        fi;
        round++
    :: else -> break
    od
}

/* Ends the channel: whoever waits is refused. */
proctype poisoner()
{
    mtype seen;
    byte i;

    LOCK;
    poisoned = true;
    if
    :: open -> close_place()
    :: else
    fi;
    d_step {
        i = 0;
        do
        :: i < THREADS && queued[i] -> queued[i] = false; refused[i] = true; done[i] = true; i++
        :: i < THREADS && !queued[i] -> i++
        :: i == THREADS -> break
        od;
        senders_queued = 0;
        receivers_queued = 0
    }
    UNLOCK;
    told_poisoned = true
}

init {
    byte i;

    atomic {
        do
        :: i < SENDERS -> run sender(i); i++
        :: i >= SENDERS && i < THREADS -> run receiver(i); i++
        :: i == THREADS -> break
        od;
        if
        :: POISONS -> run poisoner()
        :: else
        fi
    }
    _nr_pr == 1;
    i = 0;
    do
    :: i < SENDERS -> assert(sent[i] == received[i]); assert(POISONS || sent[i] == ROUNDS); i++
    :: else -> break
    od
}

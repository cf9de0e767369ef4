/* What happened, one event a line, for a simulation with TRACE: README.md has the format. */

#ifdef TRACE
hidden short offers_made[LINKS], claims_made[LINKS];
hidden short offer_number[TICKETS], claim_number[TICKETS];

inline note_do(what, index) { printf("do %e %d\n", what, index) }
inline note_done(p_, outcome_, l_) { printf("done %d %d %d\n", p_, outcome_, l_) }
inline note_posted(t_, outcome_) { printf("posted %d %d %d\n", LINK(t_), outcome_, offer_number[t_]) }
inline note_offer(t_)
{
    offers_made[LINK(t_)]++;
    offer_number[t_] = offers_made[LINK(t_)]
}
inline note_claim(t_)
{
    claims_made[LINK(t_)]++;
    claim_number[t_] = claims_made[LINK(t_)]
}
inline note_act(kind_, t_, value_)
{
    if
    :: kind_ == GRANT || kind_ == DENY ->
       printf("act %d %e %d %d\n", LINK(t_), kind_, claim_number[t_], value_)
    :: else -> printf("act %d %e %d %d\n", LINK(t_), kind_, offer_number[t_], value_)
    fi
}
inline note_word(kind_, t_, value_)
{
    if
    :: kind_ == CLAIM ->
       printf("word %d %e %d %d\n", LINK(t_), kind_, claim_number[t_], offer_number[t_])
    :: kind_ == RELEASE -> printf("word %d %e %d %d\n", LINK(t_), kind_, claim_number[t_], value_)
    :: else -> printf("word %d %e %d %d\n", LINK(t_), kind_, offer_number[t_], value_)
    fi
}
#else
inline note_do(what, index) { skip }
inline note_done(p_, outcome_, l_) { skip }
inline note_posted(t_, outcome_) { skip }
inline note_offer(t_) { skip }
inline note_claim(t_) { skip }
inline note_act(kind_, t_, value_) { skip }
inline note_word(kind_, t_, value_) { skip }
#endif

/* What happened, one event a line, for a simulation with TRACE: README.md has the format. */

#ifdef TRACE
hidden short offers[LINKS], claims_made[LINKS];
hidden short offer_number[TICKETS], claim_number[TICKETS];

inline note_do(what, index) { printf("do %e %d\n", what, index) }
inline show_done(p_, outcome_) { printf("done %d %d %d\n", p_, outcome_, round[p_]) }
inline show_offer(p_, t_)
{
    offers[LINK(t_)]++;
    offer_number[t_] = offers[LINK(t_)]
}
inline show_act(kind_, t_)
{
    printf("act %d %e %d %d\n", LINK(t_), kind_, offer_number[t_], claim_number[t_])
}
inline show_claim(t_)
{
    claims_made[LINK(t_)]++;
    claim_number[t_] = claims_made[LINK(t_)]
}
inline show_word(kind_, t_, value_)
{
    printf("word %d %e %d %d %d\n", LINK(t_), kind_, offer_number[t_], claim_number[t_], value_)
}
#else
inline note_do(what, index) { skip }
inline show_done(p_, outcome_) { skip }
inline show_offer(p_, t_) { skip }
inline show_act(kind_, t_) { skip }
inline show_claim(t_) { skip }
inline show_word(kind_, t_, value_) { skip }
#endif

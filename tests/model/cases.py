"""What is searched: configurations of the model, the mutants that they must catch, and what must come
to pass in networks that go on for ever.  README.md says what the settings are.
"""

# Networks.  A link is (process, home, whether it sends); processes and homes have numbers from 0.
PAIR = [(0, 0, True), (1, 0, False)]
CROWD = [(0, 0, True), (1, 0, False), (2, 0, True)]
READERS = [(0, 0, True), (1, 0, False), (2, 0, False)]
# The one in the middle receives of one home and sends to the other.
CHAIN = [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False)]
CHAIN_BACK = [(2, 0, True), (1, 0, False), (1, 1, True), (0, 1, False)]
# Everybody sends to the left or receives from the right.
RING = [(0, 0, True), (0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True), (2, 0, False)]
# Two that meet at two homes, in opposite directions.
CROSS = [(0, 0, True), (0, 1, False), (1, 0, False), (1, 1, True)]
SAME_WAY = [(0, 0, True), (0, 1, True), (1, 0, False), (1, 1, False)]
# And a third who receives at the second, or at the first.
RIVAL = SAME_WAY + [(2, 1, False)]
TWO_CHOOSE = [(0, 0, True), (0, 1, True), (1, 0, True), (1, 1, True), (2, 0, False)]
# One plain sender, two that choose.
CHOOSERS = [(0, 0, True), (1, 0, False), (1, 1, False), (2, 0, False), (2, 1, False)]
# One has both ends of a channel.
BOTH_ENDS = [(0, 0, True), (0, 0, False), (1, 0, False)]
# Two senders, one who chooses.
FAN = [(0, 0, True), (1, 1, True), (2, 0, False), (2, 1, False)]
# Four processes, all mixed with all.
ANY = [(0, 0, True), (0, 1, False), (1, 0, False), (1, 1, True), (2, 0, True), (3, 1, False)]

ALL = [0, 1, 2, 3]

QUICK, CI, FULL = range(3)

# name: (tier, network, settings).
SAFE = {
    "pair": (QUICK, PAIR, dict(rounds=[3, 3], stops=ALL)),
    "chain": (QUICK, CHAIN, dict(rounds=[2, 2, 2])),
    "chain stopped": (QUICK, CHAIN, dict(rounds=[1, 2, 2], stops=ALL)),
    "chain back": (QUICK, CHAIN_BACK, dict(rounds=[2, 2, 1], stops=[0, 1])),
    "ring": (QUICK, RING, dict(rounds=[1, 1, 1], stops=ALL)),
    "cross": (QUICK, CROSS, dict(rounds=[2, 2], stops=ALL)),
    "both ends": (QUICK, BOTH_ENDS, dict(rounds=[2, 2], stops=ALL)),
    "rival": (QUICK, RIVAL, dict(rounds=[1, 1, 1], stops=ALL)),
    "choosers": (QUICK, CHOOSERS, dict(rounds=[1, 1, 1], stops=[1])),
    "closes": (QUICK, CHAIN, dict(rounds=[1, 3, 1], stops=[1], closes=[1], room=6)),
    "default": (QUICK, RIVAL, dict(rounds=[1, 2, 1], stops=[0], polls=[1])),
    "priority": (QUICK, FAN, dict(rounds=[1, 1, 1], priority=[2], first_ready=1)),
    "priority cross": (QUICK, CROSS, dict(rounds=[2, 2], stops=ALL, priority=ALL)),
    "priority ring": (QUICK, RING, dict(rounds=[1, 1, 1], priority=ALL)),
    "cut": (QUICK, CHAIN, dict(rounds=[1, 2, 1], stops=[1], cuts=1)),
    "ring cut": (QUICK, RING, dict(rounds=[1, 1, 1], cuts=1)),
    "readers cut": (QUICK, READERS, dict(rounds=[2, 1, 1], stops=[1], cuts=1)),
    "poison": (QUICK, CROWD, dict(rounds=[1, 2, 1], stops=[1], poisons=[0, 1], room=6)),
    "finish": (QUICK, CROWD, dict(rounds=[1, 3, 1], stops=[0], finishes=ALL)),
    "finish cut": (QUICK, CROWD, dict(rounds=[1, 2, 1], finishes=ALL, cuts=1, room=6)),
    "posts": (QUICK, CROWD, dict(rounds=[2, 3, 1], posts=[0], finishes=ALL)),
    "buffer": (QUICK, TWO_CHOOSE, dict(rounds=[1, 1, 1], capacity=[1, 1])),
    "buffer chain": (QUICK, CHAIN, dict(rounds=[2, 2, 2], stops=[1], capacity=[1, 2])),
    "restart": (QUICK, CHAIN, dict(rounds=[1, 2, 1], restarts=1)),

    "chain long": (CI, CHAIN, dict(rounds=[3, 3, 3], stops=[0, 1])),
    "cross long": (CI, CROSS, dict(rounds=[3, 3], stops=ALL)),
    "ring long": (CI, RING, dict(rounds=[2, 2, 1], stops=[0])),
    "rival long": (CI, RIVAL, dict(rounds=[2, 2, 1], stops=[0, 1])),
    "any": (CI, ANY, dict(rounds=[2, 2, 1, 1])),
    "chain cut": (CI, CHAIN, dict(rounds=[2, 2, 1], stops=ALL, cuts=1)),
    "chain cut twice": (CI, CHAIN, dict(rounds=[1, 2, 1], stops=[1], cuts=2)),
    "cross cut": (CI, CROSS, dict(rounds=[2, 2], stops=ALL, cuts=1)),
    "rival cut": (CI, RIVAL, dict(rounds=[1, 1, 1], cuts=1)),
    "poison chain": (CI, CHAIN, dict(rounds=[2, 2, 1], stops=[1], poisons=[0, 3], room=6)),
    "poison cross": (CI, CROSS, dict(rounds=[2, 2], stops=ALL, poisons=[0], room=6)),
    "poison cut": (CI, CROWD, dict(rounds=[1, 2, 1], stops=[1], poisons=[0], cuts=1, room=6)),
    "finish chain": (CI, CHAIN, dict(rounds=[2, 2, 2], stops=ALL, finishes=ALL, room=6)),
    "finish chain cut": (CI, CHAIN, dict(rounds=[1, 2, 1], finishes=ALL, cuts=1, room=6)),
    "posts cut": (CI, CROWD, dict(rounds=[2, 3, 1], posts=[0], finishes=ALL, cuts=1, room=6)),
    "buffer stopped": (CI, TWO_CHOOSE, dict(rounds=[1, 1, 2], stops=ALL, capacity=[1, 2])),
    "buffer cut": (CI, CHAIN, dict(rounds=[2, 2, 2], capacity=[1, 2], cuts=1)),
    "buffer poison": (CI, CHAIN, dict(rounds=[2, 2, 2], capacity=[1, 1], poisons=[0, 3], room=6)),
    "buffer finish": (CI, CHAIN, dict(rounds=[2, 3, 2], stops=[1], capacity=[1, 1],
                                      finishes=ALL, room=6)),
    "closes cross": (CI, CROSS, dict(rounds=[2, 2], stops=ALL, closes=ALL, room=6)),
    "default cut": (CI, CROSS, dict(rounds=[1, 2], polls=[1], stops=[0], cuts=1)),
    "priority cut": (CI, CROSS, dict(rounds=[2, 2], priority=ALL, cuts=1)),
    "restart stopped": (CI, CHAIN, dict(rounds=[2, 2, 1], stops=ALL, restarts=1)),
    "restart buffer": (CI, CHAIN, dict(rounds=[2, 2, 2], capacity=[1, 1], restarts=1)),
    "any stopped": (CI, ANY, dict(rounds=[1, 1, 1, 1], stops=ALL)),
    "any cut": (CI, ANY, dict(rounds=[1, 1, 1, 1], cuts=1)),
    "ring cut stopped": (FULL, RING, dict(rounds=[1, 1, 1], stops=ALL, cuts=1)),
    "ring cut twice": (FULL, RING, dict(rounds=[1, 1, 1], cuts=2)),
}

# Where two threads meet (meet.pml); name: (tier, settings).
MEET = {
    "two": (QUICK, dict(senders=1, receivers=1, rounds=3)),
    "two poisoned": (QUICK, dict(senders=1, receivers=1, rounds=2, gives_up=1, poisons=1)),
    "four": (QUICK, dict(senders=2, receivers=2, rounds=1)),
    "three poisoned": (QUICK, dict(senders=1, receivers=2, rounds=1, gives_up=1, poisons=1)),
    "four give up": (CI, dict(senders=2, receivers=2, rounds=1, gives_up=1)),
    "three stay": (CI, dict(senders=1, receivers=2, rounds=2, poisons=1)),
}

MEET_MUTANTS = {
    "looks_before_it_closes": "four",
    "does_not_look_again": "four",
    "does_not_ask": "three poisoned",
    "answer_frees": "four",
    "close_frees": "four",
}

# name: the configuration that must catch it.
MUTANTS = {
    "claims_unordered": "ring",
    "told_before_ack": "cut",
    "doubt_reopens": "ring cut",
    "paired_with_itself": "both ends",
    "poison_overwrites": "poison",
    "ended_before_ack": "poison",
    "denied_stays": "chain",
    "denied_forgotten": "chain stopped",
    "withdraw_unanswered": "chain stopped",
    "finish_over_offers": "posts",
    "reservation_forgotten": "buffer",
    "stale_accepted": "restart",
    "granted_twice": "choosers",
    "lost_message_given_on": "readers cut",
    "flight_not_counted": "finish",
    "waiting_forgotten": "default",
    "grants_while_held": "chain",
    "stops_while_held": "chain stopped",
    "not_released": "rival",
    "priority_ignored": "priority",
    "priority_patient": "priority cross",
    "loose_forgotten": "choosers",
    "claims_dropped": "ring",
}

# Networks that go on for ever: name: (tier, network, settings, what must come to pass)
LIVE = {
    "withdraw": (QUICK, PAIR, dict(stops=ALL), "withdraw_is_answered"),
    "crowd": (QUICK, CROWD, dict(), "oldest_is_served"),
    "fair": (QUICK, CHAIN, dict(), "oldest_is_served"),
    "held": (QUICK, CROSS, dict(stops=[1]), "held_is_let_go"),
    "pair": (CI, CHAIN, dict(stops=[2]), "pair_is_matched"),
    "pair cross": (CI, CROSS, dict(stops=ALL, to=2), "pair_is_matched"),
    "default": (CI, RIVAL, dict(polls=[1], about=1), "round_is_over"),
}

LIVE_MUTANTS = {
    "withdraw_unanswered": "withdraw",
    "newest_first": "crowd",
    "turn_forgotten": "fair",
    "not_released": "held",
    "claims_dropped": "pair",
}

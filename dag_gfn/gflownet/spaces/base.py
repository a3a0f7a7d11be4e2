"""What a state space is: pure functions of batches of states.

Objects are built from one initial state, one action at a time, until the action to stop. Every
state has a depth: all ways to it take as many actions, as each adds one thing. A backward step
undoes an action, so backward policies choose among the same actions as forward ones; where two
actions lead from one state to the same other one, they are two transitions. A state leads to
itself.

Glossary: ``B`` batch, ``A`` actions without the one to stop, ``F`` features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Space(NamedTuple):
    """A state space; states are pytrees whose leaves have a leading axis [B]."""

    num_actions: int  # A; the action to stop has the number A
    max_steps: int  # most actions from the initial state to one that must stop
    initial: Callable[[int], Any]  # batch size -> states
    step: Callable[[Any, jax.Array], Any]  # states, actions int32 [B] < A -> states after them
    undo: Callable[[Any, jax.Array], Any]  # states, actions int32 [B] -> states before them
    mask: Callable[[Any], jax.Array]  # states -> legal actions, the last to stop, bool [B, A + 1]
    backward_mask: Callable[[Any], jax.Array]  # states -> actions that can have been last, [B, A]
    reaches: Callable[[Any, Any], jax.Array]  # whether the first leads to the second, bool [B]
    log_reward: Callable[[Any], jax.Array]  # states that may stop -> log R, float32 [B]
    observe: Callable[[Any], jax.Array]  # states -> what a network sees, float32 [B, F]

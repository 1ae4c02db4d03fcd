"""The hostile run: what outsiders send is bounded, understood, or refused.

    python -m tests.acceptance.hostile --requests 1000000 --connections 2000 --seed 1

A real server, an honest client that reports calls and meetings at a steady rate, a receiver that checks every
signature, and an attacker in a process of its own. The attacker sends malformed and extreme requests of every kind
that `grammar.py` lists, over many connections at once, and knows for each request which answers are right.

- `attack.py`: what an attack is: the bytes, the answers that are right, and what has to be stored.
- `heads.py`, `framing.py`, `targets.py`, `bodies.py`, `intake.py`, `pipelines.py`, `slow.py`: the kinds of attacks.
- `grammar.py`: all kinds with their shares, chosen by seeded dice.
- `wire.py`, `answers.py`: a raw connection, and a strict reader of answers.
- `attacker.py`: the attacking process. Each broken promise is written to a file with the exact bytes.
- `honest.py`: the honest client, the receiver, and the probes of the server.
- `reckoning.py`: at the end, everything accepted is stored and delivered exactly once, and nothing else is.
- `run.py`: the phases of a run and what is asserted.
"""

"""One room for each outside phone system. Rooms are strangers to one another.

What they share: `reading.py`, what all read alike; `pausing.py`, how they come back to a system; and `ports`.
"""

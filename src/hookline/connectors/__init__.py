"""One room for each outside phone system. Rooms are strangers to one another: what they share is in `ports`."""

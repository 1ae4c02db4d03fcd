-- What one node at a time does: who holds it (by the token that was drawn), and until when.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

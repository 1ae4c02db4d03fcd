-- What one node at a time does: who holds it, by a name that was drawn, and until when.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What one node at a time does: who holds it, by a name that was drawn, and until when. A few rows.
CREATE TABLE lease (
    name TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    until_at BIGINT NOT NULL
);

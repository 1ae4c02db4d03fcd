-- What one node at a time does: who holds it (by the token that was drawn), and until when. A few rows at most.
CREATE TABLE lease (
    name TEXT COLLATE "C" PRIMARY KEY,
    token BIGINT NOT NULL,
    until_at BIGINT NOT NULL
);

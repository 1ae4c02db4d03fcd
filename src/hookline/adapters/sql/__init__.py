"""The store in SQL: shared topics, and a file for what only one database does."""

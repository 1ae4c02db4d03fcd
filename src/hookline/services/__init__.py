"""What users can do: functions of (tx, ...), one file a topic."""

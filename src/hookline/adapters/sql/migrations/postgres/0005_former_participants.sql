-- 1: the participant was taken out of the meeting since; published events still name the address.
ALTER TABLE meeting_participant ADD COLUMN is_former BIGINT;

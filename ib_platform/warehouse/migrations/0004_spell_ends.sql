-- One row per uninterrupted subscription of a ladder inside a trade date.
ALTER TABLE spells
    COMMENT COLUMN end 'Exclusive: next epoch, loss of the session, the last frame of any topic before a disconnection, or the last one of the run';

-- One row per contract: how good the record of a trade date is.
ALTER TABLE quality_report
    ADD COLUMN revised_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the closed date was last built anew because its record had changed since its final build; NULL: never';

-- One row per streamer run that a final build of the date used, and one with an empty run_id for the build.
ALTER TABLE builds
    ADD COLUMN revised_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Of the build as a whole: as in quality_report';

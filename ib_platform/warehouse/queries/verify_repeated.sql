-- Numbers of one run under which more than one row is stored, and whether these rows are the same.
--
-- Grain:   one row: `conflicting` numbers have rows that differ in stamps or payload.
-- Inputs:  physical rows of frames of one block of numbers, of all dates; see verify_holes.sql.
--          Payloads are read of repeated numbers only.
-- Order:   none needed, every column is an aggregate.
-- Params:  paper_user String, run_id String, begin_seq UInt64, end_seq UInt64: both inclusive.
SELECT countIf(variants > 1) AS conflicting,
       arraySlice(arraySort(groupArrayIf(seq, variants > 1)), 1, 5) AS examples
FROM
(
    SELECT seq, uniqExact(received_at, monotonic_ns, connection, sipHash128(payload)) AS variants
    FROM frames
    WHERE paper_user = {paper_user:String} AND run_id = {run_id:String}
      AND seq IN
      (
          SELECT seq FROM frames
          WHERE paper_user = {paper_user:String} AND run_id = {run_id:String}
            AND seq >= {begin_seq:UInt64} AND seq <= {end_seq:UInt64}
          GROUP BY seq HAVING count() > 1
      )
    GROUP BY seq
)

--
-- PostgreSQL database dump
--

\restrict eesXBnUFww7xaeWgDAfQcFWaHvTE8YU2N4GSACOYFpBsNneL6G4kmyaLgcib22t

-- Dumped from database version 18.6
-- Dumped by pg_dump version 18.6

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: etl; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA etl;


--
-- Name: lending; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA lending;


--
-- Name: warehouse; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA warehouse;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: deletion; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.deletion (
    table_name text NOT NULL,
    id bigint NOT NULL,
    lake uuid NOT NULL,
    run bigint NOT NULL,
    deleted_at timestamp with time zone NOT NULL,
    returned_run bigint,
    returned_at timestamp with time zone
);


--
-- Name: TABLE deletion; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.deletion IS 'Ids that a snapshot had no more, until returned_at';


--
-- Name: run; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.run (
    lake uuid NOT NULL,
    run bigint NOT NULL,
    previous bigint NOT NULL,
    extraction bigint NOT NULL,
    complete boolean NOT NULL,
    snapshot_time timestamp with time zone NOT NULL,
    rows_written bigint NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    trigger text,
    source text,
    xmin_after bigint,
    swept boolean
);


--
-- Name: TABLE run; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.run IS 'The runs that are in the warehouse; source and xmin_after say which snapshot';


--
-- Name: run_table; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.run_table (
    lake uuid NOT NULL,
    run bigint NOT NULL,
    table_name text NOT NULL,
    rows_read bigint NOT NULL,
    rows_written bigint NOT NULL,
    rows_quarantined bigint NOT NULL,
    first_record_id bigint,
    last_record_id bigint,
    rows_deleted bigint DEFAULT 0 NOT NULL
);


--
-- Name: TABLE run_table; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.run_table IS 'What each run wrote; of a fact, the range of record ids';


--
-- Name: fact_loan; Type: TABLE; Schema: warehouse; Owner: -
--

CREATE TABLE warehouse.fact_loan (
    loan_record_id bigint NOT NULL,
    loan_id bigint NOT NULL,
    book_id integer NOT NULL,
    reader text NOT NULL,
    lent_on date NOT NULL,
    fee numeric(8,2) NOT NULL,
    returned boolean
);


--
-- Name: COLUMN fact_loan.loan_record_id; Type: COMMENT; Schema: warehouse; Owner: -
--

COMMENT ON COLUMN warehouse.fact_loan.loan_record_id IS 'Number of this version; a later version of the same loan_id has a greater one';


--
-- Name: fact_loan_as_of(timestamp with time zone); Type: FUNCTION; Schema: warehouse; Owner: -
--

CREATE FUNCTION warehouse.fact_loan_as_of(moment timestamp with time zone) RETURNS SETOF warehouse.fact_loan
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT newest.loan_record_id,
     newest.loan_id,
     newest.book_id,
     newest.reader,
     newest.lent_on,
     newest.fee,
     newest.returned
    FROM ( SELECT DISTINCT ON (f.loan_id) f.loan_record_id,
             f.loan_id,
             f.book_id,
             f.reader,
             f.lent_on,
             f.fee,
             f.returned
            FROM warehouse.fact_loan f
           WHERE (f.loan_record_id <= COALESCE(( SELECT max(t.last_record_id) AS max
                    FROM (etl.run_table t
                      JOIN etl.run r USING (lake, run))
                   WHERE ((t.table_name = 'fact_loan'::text) AND (r.snapshot_time <= fact_loan_as_of.moment))), ( SELECT (min(t.first_record_id) - 1)
                    FROM (etl.run_table t
                      JOIN etl.run r USING (lake, run))
                   WHERE (t.table_name = 'fact_loan'::text)), '9223372036854775807'::bigint))
           ORDER BY f.loan_id, f.loan_record_id DESC) newest
   WHERE (NOT (EXISTS ( SELECT
            FROM etl.deletion d
           WHERE ((d.table_name = 'fact_loan'::text) AND (d.id = newest.loan_id) AND (d.deleted_at <= fact_loan_as_of.moment) AND ((d.returned_at IS NULL) OR (d.returned_at > fact_loan_as_of.moment))))));
END;


--
-- Name: FUNCTION fact_loan_as_of(moment timestamp with time zone); Type: COMMENT; Schema: warehouse; Owner: -
--

COMMENT ON FUNCTION warehouse.fact_loan_as_of(moment timestamp with time zone) IS 'The version of each loan_id at a moment, without the deleted';


--
-- Name: fact_loan_as_of(timestamp with time zone); Type: FUNCTION; Schema: lending; Owner: -
--

CREATE FUNCTION lending.fact_loan_as_of(moment timestamp with time zone) RETURNS SETOF warehouse.fact_loan
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT fact_loan_as_of.loan_record_id,
     fact_loan_as_of.loan_id,
     fact_loan_as_of.book_id,
     fact_loan_as_of.reader,
     fact_loan_as_of.lent_on,
     fact_loan_as_of.fee,
     fact_loan_as_of.returned
    FROM warehouse.fact_loan_as_of(fact_loan_as_of.moment) fact_loan_as_of(loan_record_id, loan_id, book_id, reader, lent_on, fee, returned);
END;


--
-- Name: orphan; Type: TABLE; Schema: etl; Owner: -
--

CREATE TABLE etl.orphan (
    table_name text NOT NULL,
    record_id bigint NOT NULL,
    id bigint NOT NULL,
    lake uuid NOT NULL,
    run bigint NOT NULL,
    reasons text[] NOT NULL,
    "row" jsonb NOT NULL
);


--
-- Name: TABLE orphan; Type: COMMENT; Schema: etl; Owner: -
--

COMMENT ON TABLE etl.orphan IS 'Fact versions that wait for a dimension row, each with its record id';


--
-- Name: dim_book; Type: TABLE; Schema: warehouse; Owner: -
--

CREATE TABLE warehouse.dim_book (
    book_id integer NOT NULL,
    title text NOT NULL,
    shelf text,
    genre text NOT NULL
);


--
-- Name: dim_book; Type: VIEW; Schema: lending; Owner: -
--

CREATE VIEW lending.dim_book AS
 SELECT book_id,
    title,
    shelf,
    genre
   FROM warehouse.dim_book;


--
-- Name: VIEW dim_book; Type: COMMENT; Schema: lending; Owner: -
--

COMMENT ON VIEW lending.dim_book IS 'All of warehouse.dim_book';


--
-- Name: fact_loan; Type: VIEW; Schema: lending; Owner: -
--

CREATE VIEW lending.fact_loan AS
 SELECT loan_record_id,
    loan_id,
    book_id,
    reader,
    lent_on,
    fee,
    returned
   FROM warehouse.fact_loan;


--
-- Name: VIEW fact_loan; Type: COMMENT; Schema: lending; Owner: -
--

COMMENT ON VIEW lending.fact_loan IS 'All of warehouse.fact_loan';


--
-- Name: fact_loan_current; Type: VIEW; Schema: warehouse; Owner: -
--

CREATE VIEW warehouse.fact_loan_current AS
 SELECT loan_record_id,
    loan_id,
    book_id,
    reader,
    lent_on,
    fee,
    returned
   FROM ( SELECT DISTINCT ON (f.loan_id) f.loan_record_id,
            f.loan_id,
            f.book_id,
            f.reader,
            f.lent_on,
            f.fee,
            f.returned
           FROM warehouse.fact_loan f
          WHERE true
          ORDER BY f.loan_id, f.loan_record_id DESC) newest
  WHERE (NOT (EXISTS ( SELECT
           FROM etl.deletion d
          WHERE ((d.table_name = 'fact_loan'::text) AND (d.id = newest.loan_id) AND (d.returned_run IS NULL)))));


--
-- Name: VIEW fact_loan_current; Type: COMMENT; Schema: warehouse; Owner: -
--

COMMENT ON VIEW warehouse.fact_loan_current IS 'The newest version of each loan_id that is not deleted';


--
-- Name: fact_loan_current; Type: VIEW; Schema: lending; Owner: -
--

CREATE VIEW lending.fact_loan_current AS
 SELECT loan_record_id,
    loan_id,
    book_id,
    reader,
    lent_on,
    fee,
    returned
   FROM warehouse.fact_loan_current;


--
-- Name: VIEW fact_loan_current; Type: COMMENT; Schema: lending; Owner: -
--

COMMENT ON VIEW lending.fact_loan_current IS 'All of warehouse.fact_loan_current';


--
-- Name: fact_loan_loan_record_id_seq; Type: SEQUENCE; Schema: warehouse; Owner: -
--

ALTER TABLE warehouse.fact_loan ALTER COLUMN loan_record_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME warehouse.fact_loan_loan_record_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Data for Name: deletion; Type: TABLE DATA; Schema: etl; Owner: -
--

INSERT INTO etl.deletion VALUES ('fact_loan', 2, 'a6b2b11a-c184-4f9f-bff3-acff9310df8c', 6, '2026-11-30 14:10:07.916638+00', NULL, NULL);
INSERT INTO etl.deletion VALUES ('dim_book', 3, 'a6b2b11a-c184-4f9f-bff3-acff9310df8c', 6, '2026-11-30 14:10:07.916638+00', NULL, NULL);


--
-- Data for Name: orphan; Type: TABLE DATA; Schema: etl; Owner: -
--

INSERT INTO etl.orphan VALUES ('fact_loan', 4, 3, 'a6b2b11a-c184-4f9f-bff3-acff9310df8c', 4, '{"book_id is not in dim_book"}', '{"fee": "1.00", "reader": "Kim", "book_id": "99", "lent_on": "2026-01-07", "loan_id": "3", "returned": null}');


--
-- Data for Name: run; Type: TABLE DATA; Schema: etl; Owner: -
--

INSERT INTO etl.run VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 1, 0, 1, true, '2026-11-30 14:10:05.45028+00', 5, '2026-11-30 14:10:06.032043+00', 'manual', '7713966569984072784/1/16384', 758, false);
INSERT INTO etl.run VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 2, 1, 2, true, '2026-11-30 14:10:06.071257+00', 1, '2026-11-30 14:10:06.687106+00', 'manual', '7713966569984072784/1/16384', 761, false);
INSERT INTO etl.run VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 3, 2, 3, true, '2026-11-30 14:10:06.777949+00', 3, '2026-11-30 14:10:07.169169+00', 'manual', '7713966569984072784/1/16384', 764, false);
INSERT INTO etl.run VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 4, 3, 4, true, '2026-11-30 14:10:07.232446+00', 0, '2026-11-30 14:10:07.578994+00', 'manual', '7713966569984072784/1/16384', 767, false);
INSERT INTO etl.run VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 6, 4, 6, true, '2026-11-30 14:10:07.916638+00', 0, '2026-11-30 14:10:08.335052+00', 'manual', '7713966569984072784/1/16384', 770, true);


--
-- Data for Name: run_table; Type: TABLE DATA; Schema: etl; Owner: -
--

INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 1, 'dim_book', 3, 3, 0, NULL, NULL, 0);
INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 1, 'fact_loan', 2, 2, 0, 1, 2, 0);
INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 2, 'fact_loan', 1, 1, 0, 3, 3, 0);
INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 3, 'dim_book', 3, 3, 0, NULL, NULL, 0);
INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 4, 'fact_loan', 1, 0, 1, 4, 4, 0);
INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 6, 'fact_loan', 0, 0, 0, NULL, NULL, 1);
INSERT INTO etl.run_table VALUES ('a6b2b11a-c184-4f9f-bff3-acff9310df8c', 6, 'dim_book', 0, 0, 0, NULL, NULL, 1);


--
-- Data for Name: dim_book; Type: TABLE DATA; Schema: warehouse; Owner: -
--

INSERT INTO warehouse.dim_book VALUES (1, 'Dune', 'B', 'NOVEL');
INSERT INTO warehouse.dim_book VALUES (2, 'Howl', 'B', 'POETRY');
INSERT INTO warehouse.dim_book VALUES (3, 'Odes, "all"', 'B', 'POETRY');


--
-- Data for Name: fact_loan; Type: TABLE DATA; Schema: warehouse; Owner: -
--

INSERT INTO warehouse.fact_loan OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, 'Ada', '2026-01-05', 0.50, true);
INSERT INTO warehouse.fact_loan OVERRIDING SYSTEM VALUE VALUES (2, 2, 2, 'Bob', '2026-01-06', 1.25, NULL);
INSERT INTO warehouse.fact_loan OVERRIDING SYSTEM VALUE VALUES (3, 1, 1, 'Ada', '2026-01-05', 0.75, true);


--
-- Name: fact_loan_loan_record_id_seq; Type: SEQUENCE SET; Schema: warehouse; Owner: -
--

SELECT pg_catalog.setval('warehouse.fact_loan_loan_record_id_seq', 4, true);


--
-- Name: deletion deletion_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.deletion
    ADD CONSTRAINT deletion_pkey PRIMARY KEY (table_name, id, lake, run);


--
-- Name: orphan orphan_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.orphan
    ADD CONSTRAINT orphan_pkey PRIMARY KEY (table_name, record_id);


--
-- Name: run run_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (lake, run);


--
-- Name: run_table run_table_pkey; Type: CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run_table
    ADD CONSTRAINT run_table_pkey PRIMARY KEY (lake, run, table_name);


--
-- Name: dim_book dim_book_pkey; Type: CONSTRAINT; Schema: warehouse; Owner: -
--

ALTER TABLE ONLY warehouse.dim_book
    ADD CONSTRAINT dim_book_pkey PRIMARY KEY (book_id);


--
-- Name: fact_loan fact_loan_pkey; Type: CONSTRAINT; Schema: warehouse; Owner: -
--

ALTER TABLE ONLY warehouse.fact_loan
    ADD CONSTRAINT fact_loan_pkey PRIMARY KEY (loan_record_id);


--
-- Name: deletion_open; Type: INDEX; Schema: etl; Owner: -
--

CREATE UNIQUE INDEX deletion_open ON etl.deletion USING btree (table_name, id) WHERE (returned_run IS NULL);


--
-- Name: orphan_id; Type: INDEX; Schema: etl; Owner: -
--

CREATE INDEX orphan_id ON etl.orphan USING btree (table_name, id);


--
-- Name: fact_loan_versions; Type: INDEX; Schema: warehouse; Owner: -
--

CREATE INDEX fact_loan_versions ON warehouse.fact_loan USING btree (loan_id, loan_record_id DESC);


--
-- Name: deletion deletion_lake_run_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.deletion
    ADD CONSTRAINT deletion_lake_run_fkey FOREIGN KEY (lake, run) REFERENCES etl.run(lake, run) ON DELETE CASCADE;


--
-- Name: orphan orphan_lake_run_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.orphan
    ADD CONSTRAINT orphan_lake_run_fkey FOREIGN KEY (lake, run) REFERENCES etl.run(lake, run) ON DELETE CASCADE;


--
-- Name: run_table run_table_lake_run_fkey; Type: FK CONSTRAINT; Schema: etl; Owner: -
--

ALTER TABLE ONLY etl.run_table
    ADD CONSTRAINT run_table_lake_run_fkey FOREIGN KEY (lake, run) REFERENCES etl.run(lake, run) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

\unrestrict eesXBnUFww7xaeWgDAfQcFWaHvTE8YU2N4GSACOYFpBsNneL6G4kmyaLgcib22t


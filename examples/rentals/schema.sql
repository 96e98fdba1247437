-- The operational database of the rental shops.
CREATE TYPE "FilmRating" AS ENUM ('ALL', 'TEENS', 'ADULTS');

CREATE TABLE language (
    language_id serial PRIMARY KEY,
    language_name text NOT NULL
);
CREATE TABLE category (
    category_id serial PRIMARY KEY,
    category_name text NOT NULL
);
CREATE TABLE film (
    film_id serial PRIMARY KEY,
    title text NOT NULL,
    language_id integer NOT NULL REFERENCES language,
    rating "FilmRating" NOT NULL,
    minutes smallint,
    daily_rate numeric(5,2) NOT NULL
);
-- A film has at most one category.
CREATE TABLE film_category (
    film_id integer PRIMARY KEY REFERENCES film,
    category_id integer NOT NULL REFERENCES category
);
CREATE TABLE address (
    address_id serial PRIMARY KEY,
    street text NOT NULL,
    district text,
    city varchar(50) NOT NULL,
    country varchar(50) NOT NULL
);
CREATE TABLE store (
    store_id serial PRIMARY KEY,
    store_name text NOT NULL,
    address_id integer NOT NULL REFERENCES address
);
CREATE TABLE customer (
    customer_id serial PRIMARY KEY,
    first_name text NOT NULL,
    last_name text NOT NULL,
    email text,
    address_id integer NOT NULL REFERENCES address,
    active boolean NOT NULL,
    joined_on date NOT NULL
);
CREATE TABLE inventory (
    inventory_id serial PRIMARY KEY,
    film_id integer NOT NULL REFERENCES film,
    store_id integer NOT NULL REFERENCES store
);
CREATE TABLE rental (
    rental_id bigserial PRIMARY KEY,
    inventory_id integer NOT NULL REFERENCES inventory,
    customer_id integer NOT NULL REFERENCES customer,
    rented_at timestamp(3) NOT NULL,
    returned_at timestamp(3)
);
CREATE INDEX ON rental (customer_id);

-- One partition a year. The key of the whole table has to contain paid_at, so no index makes payment_id unique alone.
CREATE TABLE payment (
    payment_id bigserial,
    rental_id bigint NOT NULL REFERENCES rental ON DELETE CASCADE,
    customer_id integer NOT NULL REFERENCES customer,
    amount numeric(7,2) NOT NULL,
    voided boolean NOT NULL DEFAULT false,
    paid_at timestamp(3) NOT NULL,
    PRIMARY KEY (payment_id, paid_at)
) PARTITION BY RANGE (paid_at);
CREATE TABLE payment_2024 PARTITION OF payment FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE payment_2025 PARTITION OF payment FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE payment_later PARTITION OF payment DEFAULT;
CREATE INDEX ON payment (rental_id);

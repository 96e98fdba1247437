"""The report of `totesys report --model examples.rentals`."""

from totesys.reporting import Chapter, Months, Question, Ranks, Report

TAKINGS_BY_MONTH = Question(
    "takings_by_month",
    "Takings by month",
    "Payments that count, in euros. The newest month may be incomplete.",
    """
SELECT make_date(d.year, d.month, 1) AS month, 'all customers' AS customers, count(*) AS payments,
       sum(f.amount) AS amount
FROM payments.fact_payment_current AS f
JOIN payments.dim_date AS d ON d.date_id = f.paid_date
WHERE f.paid_date >= $2 AND f.paid_date < $3
GROUP BY 1, 2 ORDER BY 1""",
    Months("month", "amount", "customers"),
)

TOP_FILMS = Question(
    "top_films",
    "The ten most rented films",
    "Several films may share a title.",
    """
SELECT c.film_id, c.title, count(*) AS rentals
FROM rentals.fact_rental_current AS f JOIN rentals.dim_copy AS c USING (copy_id)
WHERE f.rented_date >= $2 AND f.rented_date < $3
GROUP BY c.film_id, c.title ORDER BY rentals DESC, c.film_id LIMIT 10""",
    Ranks("title", "rentals", key="film_id"),
)

BY_CATEGORY = Question(
    "by_category",
    "Rentals by category",
    "Films without a category count as Unknown.",
    """
SELECT c.category_name AS category, count(*) AS rentals
FROM rentals.fact_rental_current AS f JOIN rentals.dim_copy AS c USING (copy_id)
WHERE f.rented_date >= $2 AND f.rented_date < $3
GROUP BY 1 ORDER BY rentals DESC, 1""",
    Ranks("category", "rentals"),
)

REPORT = Report(
    "Film rentals",
    (Chapter("Takings", (TAKINGS_BY_MONTH,)), Chapter("Rentals", (TOP_FILMS, BY_CATEGORY))),
    years="""
SELECT DISTINCT d.year FROM rentals.fact_rental_current AS f
JOIN rentals.dim_date AS d ON d.date_id = f.rented_date ORDER BY 1""",
    filter="category",
)

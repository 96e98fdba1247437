"""The report of `totesys report`: business questions in SQL over the stars."""

from totesys.reporting import Cards, Chapter, Months, Question, Ranks, Report

# The payment types of incoming payments.
_INCOMING = "payment_type_name IN ('SALES_RECEIPT', 'PURCHASE_REFUND')"

BY_CURRENCY = Question(
    "by_currency",
    "By currency",
    "Orders of the chosen period. Overdue payments are unpaid and were due before the day of the report.",
    f"""
WITH sold AS (
    SELECT currency_id, count(*) AS sales_orders, sum(units_sold * unit_price) AS sales
    FROM sales.fact_sales_order_current WHERE created_date >= $2 AND created_date < $3 GROUP BY currency_id
), bought AS (
    SELECT currency_id, count(*) AS purchase_orders, sum(item_quantity * item_unit_price) AS purchases
    FROM purchases.fact_purchase_order_current WHERE created_date >= $2 AND created_date < $3 GROUP BY currency_id
), unpaid AS (
    SELECT currency_id,
           sum(payment_amount) FILTER (WHERE {_INCOMING} AND payment_date < $1) AS overdue_to_us,
           sum(payment_amount) FILTER (WHERE NOT {_INCOMING} AND payment_date < $1) AS overdue_by_us
    FROM payments.fact_payment_current JOIN payments.dim_payment_type USING (payment_type_id)
    WHERE NOT paid GROUP BY currency_id
)
SELECT currency_code AS currency, coalesce(sales, 0) AS sales, coalesce(sales_orders, 0) AS sales_orders,
       coalesce(purchases, 0) AS purchases, coalesce(purchase_orders, 0) AS purchase_orders,
       coalesce(overdue_to_us, 0) AS overdue_to_us, coalesce(overdue_by_us, 0) AS overdue_by_us
FROM sales.dim_currency
LEFT JOIN sold USING (currency_id) LEFT JOIN bought USING (currency_id) LEFT JOIN unpaid USING (currency_id)
ORDER BY currency_code""",
    Cards(),
)

SALES_BY_MONTH = Question(
    "sales_by_month",
    "Sales by month and currency",
    "A sale counts in the month of its order. The newest month may be incomplete.",
    """
SELECT make_date(d.year, d.month, 1) AS month, c.currency_code AS currency, count(*) AS orders,
       sum(f.units_sold) AS units, sum(f.units_sold * f.unit_price) AS amount
FROM sales.fact_sales_order_current AS f
JOIN sales.dim_date AS d ON d.date_id = f.created_date
JOIN sales.dim_currency AS c USING (currency_id)
WHERE f.created_date >= $2 AND f.created_date < $3
GROUP BY 1, 2 ORDER BY 1, 2""",
    Months("month", "amount", "currency"),
)

TOP_DESIGNS = Question(
    "top_designs",
    "The ten best-selling designs",
    "By units sold, in all currencies. Several designs may share a name.",
    """
SELECT d.design_id, d.design_name AS design, count(*) AS orders, sum(f.units_sold) AS units
FROM sales.fact_sales_order_current AS f
JOIN sales.dim_design AS d USING (design_id)
WHERE f.created_date >= $2 AND f.created_date < $3
GROUP BY d.design_id, d.design_name ORDER BY units DESC, d.design_id LIMIT 10""",
    Ranks("design", "units", key="design_id"),
)

TOP_SUPPLIERS = Question(
    "top_suppliers",
    "The ten largest suppliers",
    "By the amount of purchase orders, for each currency.",
    """
SELECT currency, place, counterparty_id, counterparty, orders, amount
FROM (SELECT c.currency_code AS currency, p.counterparty_id, p.counterparty_legal_name AS counterparty,
             count(*) AS orders, sum(f.item_quantity * f.item_unit_price) AS amount,
             row_number() OVER (PARTITION BY c.currency_code
                                ORDER BY sum(f.item_quantity * f.item_unit_price) DESC, p.counterparty_id) AS place
      FROM purchases.fact_purchase_order_current AS f
      JOIN purchases.dim_counterparty AS p USING (counterparty_id)
      JOIN purchases.dim_currency AS c USING (currency_id)
      WHERE f.created_date >= $2 AND f.created_date < $3
      GROUP BY c.currency_code, p.counterparty_id, p.counterparty_legal_name) AS ranked
WHERE place <= 10 ORDER BY currency, place""",
    Ranks("counterparty", "amount", "currency"),
)

UNPAID_BY_MONTH = Question(
    "unpaid_by_month",
    "Unpaid payments by due month",
    "Above the line: owed to us. Below the line: owed by us.",
    f"""
SELECT make_date(d.year, d.month, 1) AS month, c.currency_code AS currency,
       coalesce(sum(f.payment_amount) FILTER (WHERE {_INCOMING}), 0) AS to_receive,
       coalesce(sum(f.payment_amount) FILTER (WHERE NOT {_INCOMING}), 0) AS to_pay
FROM payments.fact_payment_current AS f
JOIN payments.dim_date AS d ON d.date_id = f.payment_date
JOIN payments.dim_payment_type AS t USING (payment_type_id)
JOIN payments.dim_currency AS c USING (currency_id)
WHERE NOT f.paid AND f.payment_date >= $2 AND f.payment_date < $3
GROUP BY 1, 2 ORDER BY 1, 2""",
    Months("month", "to_receive", "currency", below="to_pay"),
)

DUE_AND_OVERDUE = Question(
    "due_and_overdue",
    "Due and overdue",
    "Unpaid payments: overdue before the day of the report, due on that day or later.",
    """
SELECT c.currency_code AS currency, lower(replace(t.payment_type_name, '_', ' ')) AS payment_type,
       count(*) FILTER (WHERE f.payment_date < $1) AS overdue,
       coalesce(sum(f.payment_amount) FILTER (WHERE f.payment_date < $1), 0) AS overdue_amount,
       count(*) FILTER (WHERE f.payment_date >= $1) AS due,
       coalesce(sum(f.payment_amount) FILTER (WHERE f.payment_date >= $1), 0) AS due_amount
FROM payments.fact_payment_current AS f
JOIN payments.dim_payment_type AS t USING (payment_type_id)
JOIN payments.dim_currency AS c USING (currency_id)
WHERE NOT f.paid
GROUP BY 1, 2 ORDER BY 1, 2""",
)

_PAYMENTS = """
SELECT f.payment_date AS day, p.counterparty_legal_name AS counterparty,
       lower(replace(t.payment_type_name, '_', ' ')) AS payment_type, c.currency_code AS currency,
       f.payment_amount AS amount, f.payment_id
FROM payments.fact_payment_current AS f
JOIN payments.dim_counterparty AS p USING (counterparty_id)
JOIN payments.dim_payment_type AS t USING (payment_type_id)
JOIN payments.dim_currency AS c USING (currency_id)
WHERE NOT f.paid"""

NEXT_DUE = Question(
    "next_due",
    "The next five due payments",
    "The earliest day first.",
    f"{_PAYMENTS} AND f.payment_date >= $1 ORDER BY f.payment_date, f.payment_id LIMIT 5",
)

LAST_OVERDUE = Question(
    "last_overdue",
    "The last five payments to become overdue",
    "The latest day first.",
    f"{_PAYMENTS} AND f.payment_date < $1 ORDER BY f.payment_date DESC, f.payment_id DESC LIMIT 5",
)

REPORT = Report(
    "Sales, purchases and payments",
    (
        Chapter("At a glance", (BY_CURRENCY,)),
        Chapter("Sales", (SALES_BY_MONTH, TOP_DESIGNS)),
        Chapter("Purchases", (TOP_SUPPLIERS,)),
        Chapter("Payments", (DUE_AND_OVERDUE, NEXT_DUE, LAST_OVERDUE, UNPAID_BY_MONTH)),
    ),
    years="""
SELECT DISTINCT d.year FROM sales.fact_sales_order_current AS f
JOIN sales.dim_date AS d ON d.date_id = f.created_date ORDER BY 1""",
    filter="currency",
)

"""What the warehouse should hold of the real extract, in SQL that owes nothing to the model."""

ROWS = {
    "fact_sales_order": 11_187,
    "fact_purchase_order": 4_649,
    "fact_payment": 15_836,
    "dim_transaction": 15_836,
    "dim_design": 473,
    "dim_staff": 20,
    "dim_location": 30,
    "dim_counterparty": 20,
    "dim_currency": 3,
    "dim_payment_type": 4,
}
MOMENTS = """created_at::date AS created_date, created_at::time AS created_time,
    last_updated::date AS last_updated_date, last_updated::time AS last_updated_time"""
# What each warehouse table should hold, asked of the source, key first.
EXPECTED = {
    "fact_sales_order": f"""
        SELECT sales_order_id, {MOMENTS}, staff_id AS sales_staff_id, counterparty_id, units_sold, unit_price,
               currency_id, design_id, agreed_payment_date::date AS agreed_payment_date,
               agreed_delivery_date::date AS agreed_delivery_date, agreed_delivery_location_id
        FROM sales_order""",
    "fact_purchase_order": f"""
        SELECT purchase_order_id, {MOMENTS}, staff_id, counterparty_id, item_code, item_quantity, item_unit_price,
               currency_id, agreed_delivery_date::date AS agreed_delivery_date,
               agreed_payment_date::date AS agreed_payment_date, agreed_delivery_location_id
        FROM purchase_order""",
    "fact_payment": f"""
        SELECT payment_id, {MOMENTS}, transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id,
               paid, payment_date::date AS payment_date
        FROM payment""",
    "dim_transaction": """
        SELECT transaction_id, transaction_type::text AS transaction_type, sales_order_id, purchase_order_id
        FROM transaction""",
    "dim_design": "SELECT design_id, design_name, file_location, file_name FROM design",
    "dim_staff": """
        SELECT staff_id, first_name, last_name, d.department_name, coalesce(d.location, 'Unknown') AS location,
               email_address
        FROM staff s, department d WHERE d.department_id = s.department_id""",
    "dim_location": """
        SELECT address_id AS location_id, address_line_1, address_line_2, district, city, postal_code, country, phone
        FROM address""",
    "dim_counterparty": """
        SELECT c.counterparty_id, c.counterparty_legal_name, a.address_line_1 AS counterparty_legal_address_line_1,
               a.address_line_2 AS counterparty_legal_address_line_2, a.district AS counterparty_legal_district,
               a.city AS counterparty_legal_city, a.postal_code AS counterparty_legal_postal_code,
               a.country AS counterparty_legal_country, a.phone AS counterparty_legal_phone_number
        FROM counterparty c, address a WHERE a.address_id = c.legal_address_id""",
    "dim_currency": """
        SELECT currency_id, currency_code, CASE currency_code WHEN 'GBP' THEN 'Pound Sterling'
               WHEN 'USD' THEN 'US Dollar' WHEN 'EUR' THEN 'Euro' END AS currency_name
        FROM currency""",
    "dim_payment_type": "SELECT payment_type_id, payment_type_name::text AS payment_type_name FROM payment_type",
}

"""The words of generated rows. Some have quotes, commas or accents, which careless code gets wrong."""

from typing import NamedTuple


class City(NamedTuple):
    """A real city with a postal code of its centre."""

    name: str
    district: str | None
    postal_code: str
    country: str


class Department(NamedTuple):
    name: str
    location: str | None
    manager: str


CITIES = (
    City("Manchester", "Greater Manchester", "M2 5DB", "United Kingdom"),
    City("Leeds", "West Yorkshire", "LS1 4AP", "United Kingdom"),
    City("Bristol", None, "BS1 5TR", "United Kingdom"),
    City("Llandudno", "Conwy", "LL30 2LP", "United Kingdom"),
    City("Dublin", "Leinster", "D02 XE80", "Ireland"),
    City("Paris", "Île-de-France", "75011", "France"),
    City("Saint-Étienne", "Loire", "42000", "France"),
    City("Villeneuve-d'Ascq", "Nord", "59650", "France"),
    City("Köln", "Nordrhein-Westfalen", "50667", "Germany"),
    City("München", "Bayern", "80331", "Germany"),
    City("Hamburg", None, "20095", "Germany"),
    City("'s-Hertogenbosch", "Noord-Brabant", "5211 JR", "Netherlands"),
    City("Rotterdam", "Zuid-Holland", "3011 AA", "Netherlands"),
    City("Liège", "Wallonie", "4000", "Belgium"),
    City("Zürich", None, "8001", "Switzerland"),
    City("Łódź", "Łódzkie", "90-001", "Poland"),
    City("Gdańsk", "Pomorskie", "80-831", "Poland"),
    City("København", "Hovedstaden", "1050", "Denmark"),
    City("Malmö", "Skåne", "211 22", "Sweden"),
    City("Tromsø", "Troms", "9008", "Norway"),
    City("A Coruña", "Galicia", "15003", "Spain"),
    City("L'Hospitalet de Llobregat", "Barcelona", "08901", "Spain"),
    City("São Paulo", "SP", "01001-000", "Brazil"),
    City("Porto", None, "4000-322", "Portugal"),
    City("Reggio nell'Emilia", "RE", "42121", "Italy"),
    City("Αθήνα", "Attica", "105 57", "Greece"),
    City("札幌市", "Hokkaido", "060-0001", "Japan"),
    City("Washington, D.C.", None, "20001", "United States"),
    City("Portland", "Oregon", "97204", "United States"),
    City("Québec", "Québec", "G1R 4P5", "Canada"),
)

STREETS = (
    "Canal Street", "Mill Lane", "Quay Road", "Weaver's Row", "Station Approach", "Foundry Yard", "Old Market",
    "Rue de l'Église", "Lindenstraße", "Havnegade", "Tanner Hill", "Rope Walk", "Granary Court", "North Parade",
)  # fmt: skip

# Second lines as people type them: none, empty from a form, with a comma, with quotes, with a line break.
SECOND_LINES = (
    None, "Unit 4, Harbour Gate", None, 'The "Old Mill"', "", "2nd floor\nc/o Reception", None, "Building C",
)  # fmt: skip

FIRST_NAMES = (
    "Amara", "Björn", "Chloë", "Dafydd", "Elif", "Fionn", "Grace", "Hassan", "Inês", "Jakub", "Keira", "Liam",
    "Małgorzata", "Noor", "Oisín", "Priya", "Quentin", "Rosa", "Søren", "Thandi", "Umar", "Violet", "Wei", "Zoë",
)  # fmt: skip

LAST_NAMES = (
    "Ashworth", "Bielak", "Chaudhry", "D'Angelo", "Eriksson", "Fairclough", "García", "Holroyd", "Iwu", "Jansen",
    "Kowalczyk", "Lefèvre", "McAllister", "Nakamura", "O'Brien", "Patel", "Quaye", "Rhys-Jones", "Sørensen",
    "Tattersall", "Usman", "Vance", "Whittaker", "Yıldız", "Zimmermann",
)  # fmt: skip

COMPANY_NAMES = (
    "{} & Sons", "{}, {} and Partners", "{} GmbH", 'Maison "{}" S.A.', "{} Trading Co., Ltd.", "{} Brothers Inc",
    "{} Grosshandel", "{} y Asociados", "{} Sp. z o.o.", "{}-{} Group",
)  # fmt: skip

DEPARTMENTS = (
    Department("Sales", "Manchester", "Grace Holroyd"),
    Department("Purchasing", "Manchester", "Umar Chaudhry"),
    Department("Production", "Leeds", "Fionn O'Brien"),
    Department("Dispatch", "Leeds", "Rosa García"),
    Department("Finance", "Manchester", "Zoë Whittaker"),
    Department("Facilities", "Bristol", "Jakub Kowalczyk"),
    Department("Field Service", None, "Thandi Iwu"),
    Department("People", "Leeds", "Priya Patel"),
)

LOCATIONS = ("Manchester", "Leeds", "Bristol", "Köln", None)
MATERIALS = ("Canvas", "Jute", "Denim", "Cork", "Tyvek", "Felt", "Hemp", "Waxed cotton", "Café linen", "Recycled")
FOLDERS = ("/designs/totes", "/designs/archive", "/srv/artwork/2022", "/srv/artwork/été", "/home/studio/drafts")
CURRENCY_CODES = ("GBP", "USD", "EUR")

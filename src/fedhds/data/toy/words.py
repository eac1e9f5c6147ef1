"""The vocabulary of the toy federation.

The lists of one kind of word are disjoint from those of every other kind, so that a word's
kind is never in doubt (no "orange", which is a fruit and a colour), and every noun has a
regular plural.
"""

from __future__ import annotations

ANIMALS = (
    "cat", "dog", "horse", "cow", "pig", "goat", "rabbit", "fox", "bear", "lion", "tiger",
    "zebra", "camel", "donkey", "monkey", "panda", "otter", "eagle", "owl", "duck", "swan",
    "frog", "turtle", "snake", "shark", "whale", "spider", "parrot", "squirrel", "hamster",
)  # fmt: skip

FRUITS = (
    "apple", "pear", "plum", "cherry", "peach", "grape", "lemon", "banana", "melon", "apricot",
    "fig", "papaya", "coconut", "strawberry", "raspberry", "blueberry", "nectarine", "pineapple",
    "avocado", "blackberry",
)  # fmt: skip

COLOURS = (
    "red", "blue", "green", "yellow", "black", "white", "brown", "pink", "purple", "grey",
    "turquoise", "crimson", "beige", "scarlet", "maroon", "golden",
)  # fmt: skip

JOBS = (
    "baker", "teacher", "doctor", "nurse", "farmer", "painter", "singer", "driver", "pilot",
    "writer", "dancer", "carpenter", "plumber", "gardener", "tailor", "lawyer", "engineer",
    "dentist", "sailor", "butcher", "librarian", "waiter", "actor", "cook",
)  # fmt: skip

TOOLS = (
    "hammer", "drill", "spade", "rake", "ladder", "wrench", "axe", "chisel", "shovel",
    "screwdriver", "needle", "bucket", "broom", "brush", "rope", "nail", "trowel", "crowbar",
)  # fmt: skip

OBJECTS = (
    "bicycle", "book", "lamp", "chair", "table", "hat", "coat", "bag", "clock", "cup", "boat",
    "kite", "drum", "guitar", "ball", "umbrella", "candle", "basket", "bottle", "mirror",
)  # fmt: skip

CAPITALS = (
    ("Rome", "Italy"), ("Paris", "France"), ("Oslo", "Norway"), ("Madrid", "Spain"),
    ("Lisbon", "Portugal"), ("Berlin", "Germany"), ("Vienna", "Austria"), ("Athens", "Greece"),
    ("Cairo", "Egypt"), ("Tokyo", "Japan"), ("Lima", "Peru"), ("Dublin", "Ireland"),
    ("Warsaw", "Poland"), ("Helsinki", "Finland"), ("Stockholm", "Sweden"),
    ("Copenhagen", "Denmark"), ("Ottawa", "Canada"), ("Nairobi", "Kenya"), ("Havana", "Cuba"),
    ("Hanoi", "Vietnam"), ("Budapest", "Hungary"), ("Canberra", "Australia"),
    ("Santiago", "Chile"), ("Bangkok", "Thailand"),
)  # fmt: skip

CITIES = tuple(city for city, _ in CAPITALS)
COUNTRIES = tuple(country for _, country in CAPITALS)

WOMEN = (
    "Anna", "Maria", "Lucy", "Emma", "Sara", "Julia", "Nina", "Clara", "Eva", "Laura", "Olga",
    "Ruth", "Helen", "Diana", "Alice",
)  # fmt: skip

MEN = (
    "Ben", "Tom", "Paul", "Peter", "Max", "Leo", "Karl", "Hugo", "Ivan", "Omar", "David",
    "Simon", "Jack", "Oscar", "Martin",
)  # fmt: skip

NAMES = WOMEN + MEN

SURNAMES = (
    "Smith", "Jones", "Adams", "Clark", "Evans", "Hall", "Harris", "Lewis", "Moore", "Parker",
    "Reed", "Scott", "Turner", "Walsh", "Webb", "Wright",
)  # fmt: skip

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip

NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip

VERBS = (
    ("clean", "cleans", "cleaned"), ("wash", "washes", "washed"), ("carry", "carries", "carried"),
    ("buy", "buys", "bought"), ("sell", "sells", "sold"), ("find", "finds", "found"),
    ("see", "sees", "saw"), ("draw", "draws", "drew"), ("lose", "loses", "lost"),
    ("bring", "brings", "brought"), ("hide", "hides", "hid"), ("hold", "holds", "held"),
    ("want", "wants", "wanted"), ("move", "moves", "moved"), ("keep", "keeps", "kept"),
    ("need", "needs", "needed"), ("like", "likes", "liked"), ("take", "takes", "took"),
)  # fmt: skip

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("old", "young"), ("fast", "slow"), ("rich", "poor"),
    ("happy", "sad"), ("tall", "short"), ("wet", "dry"), ("clean", "dirty"),
    ("full", "empty"), ("early", "late"), ("hard", "soft"), ("loud", "quiet"),
    ("strong", "weak"), ("thick", "thin"), ("wide", "narrow"), ("bright", "dark"),
    ("cheap", "expensive"), ("high", "low"),
)  # fmt: skip

OPPOSITE = dict(OPPOSITES) | {right: left for left, right in OPPOSITES}
ADJECTIVES = tuple(OPPOSITE)

PRAISE = ("wonderful", "great", "lovely", "excellent", "perfect", "fantastic", "pleasant", "superb")
BLAME = ("terrible", "awful", "horrible", "boring", "useless", "ugly", "dreadful", "nasty")

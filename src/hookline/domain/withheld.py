"""Stand-ins for a caller's number: the words, digits and addresses that say "withheld" or "not available".

One list for all connectors. A stand-in is compared without its case, accents, brackets and separators, so that
`<Unknown>`, `ANONYMOUS` and `Numéro masqué` are found.

Sources: RFC 3323 section 4.1.1.3 and 3GPP TS 23.003 section 13 (addresses below `.invalid`); GR-31-CORE and ETSI EN
300 659-3 (`P`, `O`); 3GPP TS 24.081, "cause of no CLI" (coin line); Twilio, "Why am I getting calls from these strange
numbers?" (words spelt on a keypad); the words that carriers and phones put into the From header, in their languages.
"""

import unicodedata
from typing import Final

#: Host names that stand for nobody.
_HOSTS: Final = frozenset({"anonymous.invalid", "unknown.invalid", "restricted.invalid", "unavailable.invalid"})

#: RESTRICTED, BLOCKED, UNKNOWN, ANONYMOUS and UNAVAILABLE as they are spelt on a keypad (ITU-T E.161).
_KEYPAD: Final = frozenset({"7378742833", "2562533", "8656696", "266696687", "86282452253"})

#: By language, as people write them; `_key` makes them comparable.
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "en": (
        *("anonymous", "blocked", "caller ID blocked", "number blocked", "no caller ID", "no caller", "no number"),
        *("not available", "number unavailable", "unavailable", "out of area", "private", "private number"),
        *("private caller", "restricted", "restricted number", "unknown", "unknown number", "unknown caller"),
        *("withheld", "number withheld", "hidden", "hidden number", "undisclosed", "coin line", "payphone"),
        *("coinline/payphone", "unidentified", "P", "O"),
    ),
    "de": (
        *("anonym", "unbekannt", "unbekannter Anrufer", "unterdrückt", "Nummer unterdrückt", "Rufnummer unterdrückt"),
        *("keine Rufnummer", "privat", "private Nummer", "nicht verfügbar", "Rufnummer unbekannt", "geheim"),
    ),
    "fr": (
        *("anonyme", "inconnu", "numéro inconnu", "appelant inconnu", "masqué", "numéro masqué", "appel masqué"),
        *("privé", "numéro privé", "indisponible", "numéro indisponible", "secret", "numéro secret", "non disponible"),
    ),
    "es": (
        *("anónimo", "desconocido", "número desconocido", "llamada desconocida", "oculto", "número oculto", "privado"),
        *("número privado", "restringido", "número restringido", "no disponible", "sin identificar"),
    ),
    "it": (
        *("anonimo", "sconosciuto", "numero sconosciuto", "privato", "numero privato", "nascosto", "numero nascosto"),
        *("riservato", "numero riservato", "non disponibile"),
    ),
    "pt": (
        *("anônimo", "desconhecido", "número desconhecido", "oculto", "número oculto", "privado", "número privado"),
        *("confidencial", "número confidencial", "restrito", "número restrito", "indisponível", "não disponível"),
    ),
    "nl": (
        *("anoniem", "onbekend", "onbekend nummer", "afgeschermd", "afgeschermd nummer", "privé", "privénummer"),
        *("geheim nummer", "verborgen", "verborgen nummer", "niet beschikbaar"),
    ),
    "pl": (
        *("anonimowy", "nieznany", "numer nieznany", "prywatny", "numer prywatny", "zastrzeżony", "numer zastrzeżony"),
        *("ukryty", "numer ukryty", "niedostępny"),
    ),
    "sv": ("okänd", "okänt nummer", "skyddat nummer", "hemligt", "hemligt nummer", "dolt nummer", "ej tillgängligt"),
    "da": ("ukendt", "ukendt nummer", "hemmeligt nummer", "skjult", "skjult nummer", "privat nummer"),
    "nb": ("ukjent", "ukjent nummer", "hemmelig", "hemmelig nummer", "skjult nummer"),
    "fi": ("tuntematon", "tuntematon numero", "salainen", "salainen numero", "yksityinen", "yksityinen numero"),
    "cs": ("anonymní", "neznámý", "neznámé číslo", "soukromé číslo", "skryté číslo", "utajené číslo"),
    "tr": ("bilinmeyen", "bilinmeyen numara", "gizli", "gizli numara", "özel numara", "özel"),
    "ru": ("анонимный", "неизвестный", "неизвестный номер", "номер скрыт", "скрытый номер", "номер не определен"),
    "ja": ("非通知", "非通知設定", "通知不可能", "表示圏外", "公衆電話", "不明"),
    "zh": ("匿名", "未知", "未知号码", "私人号码", "隐藏号码", "无号码显示", "號碼不詳"),
}

_SEPARATORS: Final = str.maketrans("", "", " \t\u00a0-_./<>\"'()")


def _key(text: str) -> str:
    """The text as stand-ins are compared: no accents, one case, no separators."""
    apart = unicodedata.normalize("NFKD", text.casefold().replace("ł", "l").replace("ı", "i"))
    plain = "".join(each for each in apart if not unicodedata.combining(each))
    return plain.replace("ø", "o").replace("æ", "ae").translate(_SEPARATORS)


_STAND_INS: Final = frozenset(_key(word) for words in _WORDS.values() for word in words)


def is_withheld_host(host: str) -> bool:
    """True when the host of a SIP address stands for nobody, such as `anonymous.invalid` (RFC 3323)."""
    name = host.partition(";")[0].partition(":")[0].lower()
    return name in _HOSTS


def is_withheld_word(text: str) -> bool:
    """True when the text is empty, a known stand-in, or nothing but zeros."""
    key = _key(text)
    return key in _STAND_INS or not key or is_keypad_word(key.removeprefix("+"))


def is_keypad_word(digits: str) -> bool:
    """True when the digits spell a stand-in on a keypad, or are nothing but zeros."""
    return digits in _KEYPAD or (digits != "" and not digits.strip("0"))


def languages() -> tuple[str, ...]:
    """The languages whose words are known, ISO 639-1."""
    return tuple(_WORDS)


def words(language: str) -> tuple[str, ...]:
    """The stand-ins of one language."""
    return _WORDS[language]

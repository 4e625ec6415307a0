"""Words whose full stop does not, or not always, end a sentence. Lower case, without the stop."""

from __future__ import annotations

from typing import Final

# Always before a name, a number or an example.
NEVER_LAST: Final = frozenset(
    # English
    {"mr", "mrs", "ms", "messrs", "dr", "prof", "st", "mt", "ft", "capt", "col", "cmdr", "gen"}
    | {"lt", "sgt", "maj", "rev", "hon", "gov", "sen", "rep", "pres", "supt", "vs", "v", "cf"}
    | {"approx", "e.g", "i.e", "viz", "esp", "fig", "figs", "vol", "vols", "ed", "eds", "pp"}
    # German
    | {"hr", "hrn", "fr", "frl", "bzw", "z.b", "d.h", "u.a", "o.ä", "ggf", "evtl", "inkl", "zzgl"}
    | {"vgl", "sog", "bspw", "ca", "dipl", "ing", "hl", "abb", "nr", "kap"}
    # French, Spanish, Italian, Portuguese
    | {"mme", "mlle", "mgr", "sra", "srta", "srs", "p.ej", "ej", "dott", "sig", "sig.ra", "dra"}
    | {"av", "exmo", "exma", "núm", "pág", "págs"}
    # Dutch, Scandinavian, Polish, Czech, Russian
    | {"dhr", "mevr", "drs", "bijv", "d.w.z", "o.a", "f.eks", "t.ex", "bl.a", "np", "tzw", "prof"}
    | {"tj", "tzv", "např", "mudr", "г", "гг", "ул", "им", "проф", "стр", "рис"}
)

# Before a number: "No. 5". Elsewhere their full stop ends a sentence: "He said no."
BEFORE_NUMBER: Final = frozenset({"no", "nos", "p", "art", "sec", "ch", "chap", "par", "cap", "n"})

# At the end of a sentence or in its middle; what follows decides.
MAY_BE_LAST: Final = frozenset(
    {"jr", "sr", "inc", "ltd", "co", "corp", "bros", "esq", "ph.d", "m.d", "b.a", "m.a", "a.m"}
    | {"p.m", "u.s", "u.k", "u.n", "e.u", "a.d", "b.c", "dept", "est", "ave", "blvd", "rd"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
    | {"mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "s.a", "s.l", "sp", "z.o.o"}
)

# Words that begin an English sentence far more often than they follow an abbreviation in it.
SENTENCE_STARTERS: Final = frozenset(
    {"a", "after", "all", "although", "an", "and", "another", "as", "at", "because", "before"}
    | {"both", "but", "by", "can", "did", "do", "does", "during", "each", "even", "every", "for"}
    | {"from", "had", "has", "have", "he", "her", "here", "his", "how", "however", "i", "if"}
    | {"in", "is", "it", "its", "just", "many", "my", "no", "nobody", "not", "nothing", "now"}
    | {"of", "on", "once", "one", "or", "our", "perhaps", "she", "since", "so", "some", "soon"}
    | {"such", "suddenly", "that", "the", "their", "then", "there", "these", "they", "this"}
    | {"those", "though", "thus", "to", "until", "was", "we", "were", "what", "when", "where"}
    | {"which", "while", "who", "why", "will", "with", "yes", "yet", "you", "your"}
)

# Languages that write an ordinal number with a full stop: "am 1. Mai".
ORDINAL_STOP_LANGUAGES: Final = frozenset(
    {"de", "da", "nb", "no", "nn", "is", "fi", "et", "lv", "cs", "sk", "pl", "hu", "sl", "hr"}
    | {"bs", "sr", "tr", "lb", "eu", "fo"}
)

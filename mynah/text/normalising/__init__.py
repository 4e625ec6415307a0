"""From what is written to what is read aloud: numbers, dates, abbreviations, symbols."""

"""Wording: numbers as people read them, for every sentence that carries one."""


def percent(share: float) -> str:
    """A share as a percentage that never rounds to all or nothing unless it is."""
    if 0 < share < 0.001:  # noqa: PLR2004 - the last digit shown
        return "under 0.1 %"
    if 0.999 < share < 1:  # noqa: PLR2004 - as above
        return "over 99.9 %"
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def duration(hours: float) -> str:
    """Hours as people say them: "2 d 4 h", "35 min"."""
    minutes = round(hours * 60)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min"
    whole, rest = divmod(minutes, 60)
    if whole < 24:  # noqa: PLR2004 - a day
        return f"{whole} h {rest} min" if rest else f"{whole} h"
    days, left = divmod(whole, 24)
    return f"{days:,} d {left} h" if left else f"{days:,} d"

"""What is said in words of a star that was judged twice; one rule for the study and for scoring."""

LEAST_JUDGED = 0.1  # transit score below which there is nothing to judge
UNKNOWN = 0.5  # planet score where nothing can be told
MOST_OF_BINARY = 0.3  # planet score, below which dips are taken for those of two stars
VERDICTS = PLANET, BINARY, UNCLEAR, NOTHING = (
    "planet candidate", "eclipsing binary", "unclear", "nothing",
)  # fmt: skip


def find_verdict(called, repeats, planet_score):
    """What a star is taken for, one of `VERDICTS`.

    `repeats` says whether the transit score reaches the threshold that the score has to reach.
    """
    if called:
        return PLANET
    if not repeats:
        return NOTHING
    return BINARY if planet_score < MOST_OF_BINARY else UNCLEAR
